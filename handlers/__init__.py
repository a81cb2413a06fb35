"""Notification handlers: one a file, each a class with `send`. Stands alone: imports nothing of the service.

A new handler is one file and one line in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from handlers.console import Console
from handlers.message import Message, Rejected, Undelivered

__all__ = ["KINDS", "Console", "Handler", "Message", "Rejected", "Undelivered"]


class Handler(Protocol):
    """Sends one message, or raises: `Undelivered` (try again later), `Rejected` (never try again)."""

    def send(self, message: Message) -> None: ...


class Kind(Protocol):
    def __call__(self, options: Mapping[str, Any]) -> Handler: ...


KINDS: dict[str, Kind] = {
    "console": Console,
}
