"""Waiting for something that has to come, with a deadline and words for when it does not."""

from __future__ import annotations

import time
from collections.abc import Callable

from service.errors import DemoError

_LOOK_S = 0.04


def until(
    condition: Callable[[], object], seconds: float, what: str, meanwhile: Callable[[], object] = lambda: None
) -> None:
    """Look again and again; `meanwhile` may give up by raising. Raises DemoError."""
    deadline = time.monotonic() + seconds
    while not condition():
        meanwhile()
        if time.monotonic() > deadline:
            raise DemoError(f"waited {seconds:.0f} s for {what}")
        time.sleep(_LOOK_S)
