"""Ids that sort by time, so that a page of the newest is a walk along the primary key."""

from __future__ import annotations

import threading
import time

from ulid import ULIDGenerator

_last = 0
_lock = threading.Lock()


def _clock_that_never_goes_back() -> int:
    """Milliseconds of the wall clock; a clock that was set back stands still."""
    global _last  # noqa: PLW0603 - one process, one sequence
    _last = max(_last, time.time_ns() // 1_000_000)
    return _last


_generator = ULIDGenerator(clock=_clock_that_never_goes_back)


def new_id() -> str:
    """A lower-case ULID (26 characters); each is greater than all that this process made before."""
    with _lock:
        return str(_generator.generate()).lower()
