"""What the runner is trusted with, taken out of what it tells.

MLRun's client prints no credential, but a server, or a proxy before it, may repeat one in what it answers, and the project's code
may print what it finds. What programs print that the code starts is not looked at.
"""

from __future__ import annotations

import io
from typing import Any

MASK = "***"
# A shorter one is part of other words.
_LENGTH = 8


def masked(text: str, secret: str) -> str:
    return text.replace(secret, MASK) if len(secret) >= _LENGTH else text


class Masked(io.TextIOWrapper):
    """A text stream that `secret`, written in one piece, does not pass."""

    def __init__(self, stream: Any, secret: str, **options: Any) -> None:
        super().__init__(stream, **options)
        self._secret = secret

    def write(self, text: str) -> int:
        super().write(masked(text, self._secret))
        return len(text)
