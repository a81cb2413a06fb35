"""What the pod is given: which job it runs, whom it asks, and with which token. It is never printed."""

from __future__ import annotations

import os
from typing import Optional

CA = "ca.crt"


class BadSecretError(Exception):
    """A file is missing or empty."""


class Secret:
    """The files `id`, `url` and `token` of `folder`; `ca`, a file with the service's certificate authority, may be missing."""

    def __init__(self, folder: str) -> None:
        self.job = _read(folder, "id")
        self.url = _read(folder, "url").rstrip("/")
        self.token = _read(folder, "token")
        ca = os.path.join(folder, CA)
        self.ca: Optional[str] = ca if os.path.isfile(ca) else None
        if not self.url.startswith(("http://", "https://")):
            raise BadSecretError(f"the url in {folder} begins with neither http:// nor https://")


def _read(folder: str, name: str) -> str:
    path = os.path.join(folder, name)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read().strip()
    except (OSError, ValueError) as exc:
        raise BadSecretError(
            "{} cannot be read: {}".format(path, getattr(exc, "strerror", None) or "it is no text")
        ) from exc
    if not text or any(character.isspace() for character in text):
        raise BadSecretError(f"{path} is empty or more than one word")
    return text
