"""Crash points: places where a fault test makes the process die as if the power had gone.

`GITOPS_CRASH_AT=name` kills the process at the first passing of that point, `name:3` at the third. A file named by
`GITOPS_CRASH_FILE` arms a running process the same way, once: it is removed before the crash, so that a respawned
worker lives. `name:1:STOP` sends another signal than KILL. Without either variable a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

_at = os.environ.get("GITOPS_CRASH_AT")
_file = os.environ.get("GITOPS_CRASH_FILE")
_armed = bool(_at or _file)
_clock = os.environ.get("GITOPS_CLOCK_FILE")
_passed: dict[str, int] = {}
_lock = threading.Lock()


def point(name: str) -> None:
    """Die here if a test says so."""
    if _armed:
        _pass(name)


def wall_clock() -> float:
    """What the clock on the wall shows, in seconds since the epoch; a test may shift it by GITOPS_CLOCK_FILE's content."""
    return time.time() + (float(_read(_clock) or 0) if _clock else 0.0)


def _pass(name: str) -> None:
    with _lock:
        if _at and _reached(_at, name):
            _hurt(_at)
        if _file and (order := _read(_file)) and _reached(order, name):
            Path(_file).unlink(missing_ok=True)
            _hurt(order)


def _reached(order: str, name: str) -> bool:
    wanted, count, _ = _parts(order)
    if wanted != name:
        return False
    _passed[order] = _passed.get(order, 0) + 1
    return _passed[order] >= count


def _parts(order: str) -> tuple[str, int, str]:
    name, count, action = [*order.split(":"), "", ""][:3]
    return name, int(count or 1), action or "KILL"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _hurt(order: str) -> None:
    os.kill(os.getpid(), signal.Signals[f"SIG{_parts(order)[2]}"])
