"""Writes each message as a line to the service's standard output."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from handlers.message import Message


class Console:
    def __init__(self, options: Mapping[str, Any]) -> None:
        self.stream = options.get("stream") or sys.stdout

    def send(self, message: Message) -> None:
        where = f"{message.project}: " if message.project else ""
        print(f"[{message.severity}] {message.event} {where}{message.title}", file=self.stream, flush=True)
