"""Images in process mode: a name stands for an environment of this machine. What is not in the table can't be pulled."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """What the real image's configuration would say: ENV, USER, WORKDIR, ENTRYPOINT and CMD.

    `files` are those it has beside this machine's: absolute path → text; everybody may read and execute them.
    """

    env: dict[str, str] = field(default_factory=dict)
    user: str = "0"
    workdir: str = "/"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        return {"PATH": _PATH, **self.env}

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Image:
        words = {name: tuple(document[name]) for name in ("entrypoint", "command")}
        return cls(**{**document, **words})


# The programs of this machine, for tests that need no more than a shell.
SHELL = {"registry.test/shell:1": Image()}


def find(images: dict[str, Image], name: str) -> Image | None:
    """By its name; a name of the table that ends in `*` stands for all that begin so, the longest first."""
    if name in images:
        return images[name]
    prefixes = [known for known in images if known.endswith("*") and name.startswith(known[:-1])]
    return images[max(prefixes, key=len)] if prefixes else None
