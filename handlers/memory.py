"""What a handler may remember from one message to the next, for those that edit what they said.

A handler that wants it says `remembers = True` and takes the memory as `send`'s second argument. What it puts is kept
together with whether the message left, in one write; so it survives a crash, except one between the other side's answer and
that write. For this case there is `doubt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from handlers.message import Message

Note = dict[str, Any]


class Memory(Protocol):
    """Small notes by key, a handler's own; one that was not put for a month is gone."""

    @property
    def doubt(self) -> bool:
        """Whether this very message may have left before, in an attempt whose end nobody saw."""

    def get(self, key: str) -> Note | None: ...

    def put(self, key: str, note: Note) -> None:
        """`key` has at most 200 characters, `note` 4 KiB as JSON."""


@runtime_checkable
class Remembering(Protocol):
    """A handler with a memory; made as every handler is."""

    model: ClassVar[type[BaseModel]]
    remembers: Literal[True]

    def __init__(self, options: Mapping[str, Any]) -> None: ...

    def send(self, message: Message, memory: Memory | None = None) -> None:
        """Without a memory, as if nothing had been said before."""


class NoMemory:
    """Of who sends once and for all."""

    doubt = False

    def get(self, _key: str) -> Note | None:
        return None

    def put(self, _key: str, _note: Note) -> None:
        pass
