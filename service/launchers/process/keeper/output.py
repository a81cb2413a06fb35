"""What a job prints: from its FIFO to its log, up to a cap.

A FIFO and not a pipe, and opened for reading and writing at both ends: when a keeper is killed the job neither gets
SIGPIPE nor loses a byte; it waits until the next keeper reads on. A job may print as much as it likes: beyond the
cap its output is read and dropped, with a remark.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_CHUNK = 256 * 1024


class Output:
    def __init__(self, fifo: Path, log: Path, cap: int) -> None:
        """`fifo` must be one (the job could have put something else there by now)."""
        self.fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        if not stat.S_ISFIFO(os.fstat(self.fd).st_mode):
            os.close(self.fd)
            raise FileNotFoundError(f"{fifo} is no FIFO any more")
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._cap = cap
        self._left = max(0, cap - os.lseek(self._log, 0, os.SEEK_END))
        self._dropped = 0

    def pump(self) -> None:
        """Move what is there now, at most a few megabytes, so that the deadline is looked at in between."""
        for _ in range(64):
            if not self._move():
                return

    def drain(self) -> None:
        """Move all that is left; to be called when nobody writes any more."""
        os.lseek(self._log, 0, os.SEEK_END)  # a remark may have come in between
        while self._move():
            pass

    def close(self) -> None:
        if self._dropped:
            say(self._log, f"{self._dropped} more bytes were printed and dropped")
        os.close(self.fd)
        os.close(self._log)

    def _move(self) -> int:
        """Bytes taken from the FIFO. The kernel moves them, so a kill loses none between reading and writing."""
        try:
            if not self._left:
                return self._drop()
            moved = os.splice(self.fd, self._log, min(_CHUNK, self._left))
        except BlockingIOError:
            return 0
        except OSError:  # a full disk, or a file system without splice
            return self._copy()
        self._left -= moved
        return moved

    def _copy(self) -> int:
        try:
            data = os.read(self.fd, min(_CHUNK, self._left))
        except BlockingIOError:
            return 0
        written = write_fully(self._log, data)
        self._left -= written
        if written < len(data):
            self._left = 0
            self._count(len(data) - written)
        return len(data)

    def _drop(self) -> int:
        size = len(os.read(self.fd, _CHUNK))
        self._count(size)
        return size

    def _count(self, dropped: int) -> None:
        if dropped and not self._dropped:
            say(
                self._log,
                f"the log ends here: its cap of {self._cap} bytes is reached or the disk is full; the job goes on",
            )
        self._dropped += dropped


def open_log(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def say(log: int, text: str) -> None:
    """A remark of ours in the job's log."""
    write_fully(log, f"\n[mlrun-gitops] {text}\n".encode())


def write_fully(fd: int, data: bytes) -> int:
    """Bytes written; fewer than given when the disk is full, which must not end a job."""
    written = 0
    while written < len(data):
        try:
            written += os.write(fd, data[written:])
        except OSError:
            break
    return written
