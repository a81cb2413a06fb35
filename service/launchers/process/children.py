"""Processes that outlive whoever started them, keepers and warm parents: our children until one of us ends.

They are minded by the process and not by a launcher, since a launcher that was closed still has to have its
children's exit codes taken, or they would stay as zombies.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable

_lock = threading.Lock()
_children: list[tuple[subprocess.Popen[bytes], Callable[[int], None]]] = []


def mind(process: subprocess.Popen[bytes], ended: Callable[[int], None] = lambda _: None) -> None:
    """`ended` is called with the exit code, by some later `reap`."""
    with _lock:
        _children.append((process, ended))


def reap() -> None:
    """Take the exit codes of those that ended."""
    with _lock:
        over = [child for child in _children if child[0].poll() is not None]
        _children[:] = [child for child in _children if child not in over]
    for process, ended in over:
        ended(process.returncode)
