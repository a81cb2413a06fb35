"""Waiting for a condition with a deadline, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")

# The longer something takes, the rarer it is looked at: looks cost whoever is asked, and here all share few cores.
_SHORTEST_S, _LONGEST_S, _OF_THE_WAIT = 0.02, 0.25, 0.05


def rest(waited_s: float) -> None:
    """Until the next look, after so long a wait."""
    time.sleep(min(max(_SHORTEST_S, waited_s * _OF_THE_WAIT), _LONGEST_S))


def until(true: Callable[[], T | Literal[False] | None], what: str, seconds: float = 30.0) -> T:
    """What `true` returns as soon as that is true; a test that waits in vain fails with `what`."""
    began = time.monotonic()
    while True:
        if found := true():
            return found
        waited = time.monotonic() - began
        assert waited < seconds, f"waited {seconds:g} s in vain for: {what}"
        rest(waited)
