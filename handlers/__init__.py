"""Notification handlers: one a file (or a folder), each a class with `send`. Stands alone: imports nothing of the service.

A new handler is one file and one line in `KINDS`. A handler's options are its `model`, a pydantic class that
refuses what it does not know; secrets in it are `SecretStr`, and no error text carries one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel

from handlers.console import Console
from handlers.memory import Memory, NoMemory, Remembering
from handlers.message import Message, Rejected, Undelivered
from handlers.slack import Slack
from handlers.webhook import Webhook

__all__ = [
    "KINDS",
    "Checks",
    "Closes",
    "Console",
    "Handler",
    "Memory",
    "Message",
    "NoMemory",
    "Rejected",
    "Remembering",
    "Slack",
    "Undelivered",
    "Webhook",
]


class Handler(Protocol):
    """Sends one message, or raises: `Undelivered` (try again later), `Rejected` (never try again).

    One that edits what it said before is `Remembering` instead: its `send` takes a memory too.

    Making one raises pydantic's ValidationError for options that are wrong.
    """

    model: ClassVar[type[BaseModel]]

    def __init__(self, options: Mapping[str, Any]) -> None: ...

    def send(self, message: Message) -> None: ...


@runtime_checkable
class Checks(Protocol):
    """What a handler may offer beside `send`: a look whether sending would work, by which nobody is told anything."""

    def check(self) -> str:
        """What it found, in a few words for the operator. Raises as `send` does."""


@runtime_checkable
class Closes(Protocol):
    """What a handler with connections offers: to let them go when the service stops."""

    def close(self) -> None: ...


KINDS: dict[str, type[Handler | Remembering]] = {
    "console": Console,
    "slack": Slack,
    "webhook": Webhook,
}
