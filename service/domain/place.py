"""A place in somebody's YAML: read the value that should be there, or say exactly what is wrong with it.

Every error names the file, the line, the way to the value, the value, and what to write instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from service.domain.diff import masked
from service.domain.projects import Json
from service.domain.yaml_guard import Document, Path

T = TypeVar("T")
Choice = TypeVar("Choice", bound=StrEnum)

_TEXT_BYTES = 400
_KEY_BYTES = 200
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Place:
    """A value in `document`, how to get there from the top, and whether it is there at all."""

    document: Document
    value: Any
    path: Path = ()
    missing: bool = False

    def fail(self, what: str, mend: str) -> NoReturn:
        name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip(".")
        raise self.document.error(": ".join(filter(None, (self._where(), name, what))), mend=mend)

    def _where(self) -> str:
        """File and line; a value that is missing is looked for where it should be."""
        path = self.path
        while path and path not in self.document.lines:
            path = path[:-1]
        line = self.document.lines.get(path)
        return f"{self.document.name}, line {line}" if line else self.document.name

    def wrong(self, what: str, *, mend: str) -> NoReturn:
        self.fail("is missing" if self.missing else f"{self._shown()} {what}", mend)

    def get(self, read: Callable[[Place], T], default: T) -> T:
        return default if self.missing or self.value is None else read(self)

    def key(self, name: str) -> Place:
        here = (*self.path, name)
        if isinstance(self.value, dict) and name in self.value:
            return Place(self.document, self.value[name], here)
        return Place(self.document, None, here, missing=True)

    def only(self, *known: str) -> None:
        for key in self.mapping():
            if key not in known:
                near = get_close_matches(key[:_KEY_BYTES], known, 1)
                mend = f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(known)}"
                self.key(key).fail("is no key we know", mend)

    def mapping(self) -> Json:
        if not isinstance(self.value, dict):
            self.wrong("is not a mapping", mend="write key: value pairs")
        return self.value

    def entries(self) -> list[tuple[str, Place]]:
        if self.missing or self.value is None:
            return []
        names = list(self.mapping())
        for name in names:
            if not name.strip() or len(name) > _KEY_BYTES or not name.isprintable():
                self.key(name).fail(
                    f"{name[:_KEY_BYTES]!r} is no name", f"use 1 to {_KEY_BYTES} letters, digits and signs"
                )
        return [(name, self.key(name)) for name in names]

    def items(self) -> list[Place]:
        if self.missing or self.value is None:
            return []
        if not isinstance(self.value, list):
            self.wrong("is not a list", mend="write one item a line, each with a dash in front")
        return [Place(self.document, item, (*self.path, at)) for at, item in enumerate(self.value)]

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            self.wrong("is neither true nor false", mend="write true or false")
        return self.value

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.wrong("is not a text", mend="write it in quotes" if self.value is not None else "give it a value")
        if not self.value.strip() or len(self.value) > _TEXT_BYTES or not self.value.isprintable():
            self.wrong("is empty, too long or holds control characters", mend=f"write 1 to {_TEXT_BYTES} letters")
        return self.value

    def texts(self) -> tuple[str, ...]:
        """One text, or a list of them."""
        return (self.text(),) if isinstance(self.value, str) else tuple(item.text() for item in self.items())

    def choice(self, kind: type[Choice], default: Choice) -> Choice:
        if self.missing:
            return default
        if not isinstance(self.value, str) or self.value not in list(kind):
            self.wrong("is not one of the choices", mend=f"write {', '.join(kind)}")
        return kind(self.value)

    def _shown(self) -> str:
        text = repr(masked(self.value, str(self.path[-1]) if self.path else ""))
        return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
