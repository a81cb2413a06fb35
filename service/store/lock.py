"""One service a data directory: SQLite has one writer, and recovery may assume that the process before is dead.

The kernel drops the lock when its holder dies, however it dies, so there is no stale lock to clean.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

from service.errors import StoreUnavailable


class DirectoryLock:
    """Held from `take` until `release` or the end of the process."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "lock"
        self._fd: int | None = None

    def take(self, wait_s: float) -> None:
        """Raises StoreUnavailable, naming the holder, when it is still held after `wait_s` seconds."""
        deadline = time.monotonic() + wait_s
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not self._try(fd):
                if time.monotonic() >= deadline:
                    raise self._refusal(fd)
                time.sleep(0.05)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _try(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise StoreUnavailable(
                f"{self._path} cannot be locked: {error.strerror}",
                mend="Put data_dir on a local file system that has flock",
            ) from error
        return True

    def _refusal(self, fd: int) -> StoreUnavailable:
        pid = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        holder = f"process {pid}" if pid else "another process"
        return StoreUnavailable(
            f"{self._path.parent} is in use by {holder}",
            mend=f"Stop {holder}, or give this service a data_dir of its own; several services that share their"
            " state need PostgreSQL (store.url)",
        )
