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
        self._log = open_log(log)
        self._left = max(0, cap - os.fstat(self._log).st_size)
        self._cap = cap
        self._dropped = 0

    def pump(self) -> None:
        """Move what is there now, at most a few megabytes, so that the deadline is looked at in between."""
        for _ in range(16):
            try:
                data = os.read(self.fd, _CHUNK)
            except BlockingIOError:
                return
            if not data:
                return
            self._write(data)

    def drain(self) -> None:
        """Move all that is left; to be called when nobody writes any more."""
        while True:
            try:
                data = os.read(self.fd, _CHUNK)
            except BlockingIOError:
                return
            if not data:
                return
            self._write(data)

    def _write(self, data: bytes) -> None:
        keep, rest = data[: self._left], len(data) - len(data[: self._left])
        if keep:
            self._left -= len(keep)
            rest += len(keep) - write_fully(self._log, keep)
        if rest and not self._dropped:
            say(
                self._log,
                f"the log ends here: its cap of {self._cap} bytes is reached or the disk is full; the job goes on",
            )
        self._dropped += rest

    def close(self) -> None:
        if self._dropped:
            say(self._log, f"{self._dropped} more bytes were printed and dropped")
        os.close(self.fd)
        os.close(self._log)


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
