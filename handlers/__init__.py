"""Notification handlers: one a file, each a class with `send`. Stands alone: imports nothing of the service.

A new handler is one file and one line in `KINDS`. A handler's options are its `model`, a pydantic class that
refuses what it does not know; secrets in it are `SecretStr`, and no error text carries one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from handlers.console import Console
from handlers.message import Message, Rejected, Undelivered
from handlers.webhook import Webhook

__all__ = ["KINDS", "Console", "Handler", "Message", "Rejected", "Undelivered", "Webhook"]


class Handler(Protocol):
    """Sends one message, or raises: `Undelivered` (try again later), `Rejected` (never try again).

    Making one raises pydantic's ValidationError for options that are wrong.
    """

    model: ClassVar[type[BaseModel]]

    def __init__(self, options: Mapping[str, Any]) -> None: ...

    def send(self, message: Message) -> None: ...


KINDS: dict[str, type[Handler]] = {
    "console": Console,
    "webhook": Webhook,
}
