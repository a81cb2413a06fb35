"""Waiting for a condition with a deadline, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")


def until(true: Callable[[], T | Literal[False] | None], what: str, seconds: float = 30.0) -> T:
    """What `true` returns as soon as that is true; a test that waits in vain fails with `what`."""
    deadline = time.monotonic() + seconds
    while True:
        if found := true():
            return found
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for: {what}"
        time.sleep(0.02)
