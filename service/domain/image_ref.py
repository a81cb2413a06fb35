"""One parser of image references: registry (with a port), path, tag, digest.

Docker's grammar, and MLRun's one addition to it: a reference that begins with a dot (`.mlrun/func-demo:latest`) lies in the registry
that the MLRun server builds into.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

from service.errors import ImageError

# Docker's own limits; the last leaves room for name, tag and digest.
_LONGEST_NAME, _LONGEST_TAG, _LONGEST = 255, 128, 640

_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\]"
_REGISTRY = re.compile(rf"(?:{_HOST})(?::[0-9]{{1,5}})?")
_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{_LONGEST_TAG - 1}}}")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")

# The registry of what the MLRun server builds.
OF_THE_SERVER = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """`str` gives back what was parsed. What a reference does not say is empty."""

    path: str
    registry: str = ""
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        joint = "" if self.registry in ("", OF_THE_SERVER) else "/"
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}{joint}{self.path}{tag}{digest}"

    @property
    def exact(self) -> bool:
        """Whether it says itself which image of that name is meant."""
        return bool(self.tag or self.digest)

    def tagged(self, tag: str) -> Self:
        return replace(self, tag=tag)


def parse(text: str) -> ImageRef:
    """Raises ImageError, which says which part is wrong."""
    text = text.strip()
    if len(text) > _LONGEST:
        raise _wrong(
            text, "it is too long", f"a reference has {_LONGEST_NAME} characters at most, without tag and digest"
        )
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _wrong(
            text, f"{digest!r} is no digest", "a digest is an algorithm and hexadecimal digits: @sha256:0f3c..."
        )
    rest, tag = _split_tag(rest)
    if tag is not None and not _TAG.fullmatch(tag):
        raise _wrong(text, f"{tag!r} is no tag", "a tag has letters, digits, dots, dashes and underscores")
    registry, path = _split_registry(rest)
    if registry not in ("", OF_THE_SERVER) and not _REGISTRY.fullmatch(registry):
        raise _wrong(text, f"{registry!r} is no registry", "a registry is a host name, with a port where it has one")
    if len(rest) > _LONGEST_NAME or not all(_PART.fullmatch(part) for part in path.split("/")):
        raise _wrong(text, f"{path!r} is no name", "a name has lower-case letters, digits, dots and dashes")
    return ImageRef(path=path, registry=registry, tag=tag or "", digest=digest)


def _split_tag(text: str) -> tuple[str, str | None]:
    """A colon before the last slash is a registry's port, not a tag's."""
    name, colon, tag = text.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (text, None)


def _split_registry(text: str) -> tuple[str, str]:
    """The first part is a registry where it looks like a host: a dot, a port, upper case, or `localhost`."""
    if text.startswith(OF_THE_SERVER):
        return OF_THE_SERVER, text.removeprefix(OF_THE_SERVER)
    first, slash, rest = text.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first != first.lower()
    return (first, rest) if slash and is_host else ("", text)


def _wrong(text: str, why: str, mend: str) -> ImageError:
    shown = text if len(text) <= 120 else f"{text[:117]}..."
    return ImageError(f"{shown!r} is no image reference: {why}", mend=mend)
