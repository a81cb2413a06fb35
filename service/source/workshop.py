"""A folder of this process's own for what must not outlive it: indexes, ssh keys, spare checkouts.

Each process has one, held by a `flock` for its life. The next process removes those whose lock is free, so that
neither `kill -9` nor a power cut (after which a spare may be half on disk) leaves anything that is used again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import weakref
from pathlib import Path


class Workshop:
    """`folder` exists, 0700, until the object is gone or `close` is called."""

    def __init__(self, root: Path) -> None:
        _clear(root)
        lock, self.folder = _open(root)
        self.close = weakref.finalize(self, _close, lock, self.folder)


def _open(root: Path) -> tuple[int, Path]:
    while True:
        name = secrets.token_hex(8)
        lock = os.open(root / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(BlockingIOError):  # somebody who clears was quicker than we
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (root / f"{name}.lock").exists():
                folder = root / name
                folder.mkdir(mode=0o700)
                return lock, folder
        os.close(lock)


def _close(lock: int, folder: Path) -> None:
    _remove(folder)
    os.close(lock)


def _remove(folder: Path) -> None:
    """The lock goes last, and only with all of the folder: by the lock the next process finds what could not be removed,
    because a git that writes a spare was still at it."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        folder.with_suffix(".lock").unlink(missing_ok=True)


def _clear(root: Path) -> None:
    """Remove the workshops of the dead."""
    for path in root.glob("*.lock"):
        try:
            lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path.with_suffix(""))
        except BlockingIOError:
            pass
        finally:
            os.close(lock)
