"""Starting keepers: one is always at hand, started already and waiting to be told its job.

A Python that has imported what a keeper needs is there 50 ms after it was started, of which a job that was handed to one at hand
waits for none. It is the same process in all else: our child, which outlives us, and which holds the job's lock from the
moment it is told. One that was told of no job ends with us, for it hears our end of its socket close.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

# sys.path is appended to, so that no module here can stand before one of the standard library.
_PROGRAM = "import sys; sys.path.append(sys.argv[1]); from keeper.program import wait; wait()"


@dataclass(frozen=True, slots=True)
class _Waiting:
    process: subprocess.Popen[bytes]
    line: socket.socket

    def tell(self, job: Path, lock: int, log: int) -> None:
        """Raises OSError when it is gone."""
        socket.send_fds(self.line, [os.fsencode(job)], [lock, log])
        self.line.close()

    def dismiss(self) -> None:
        self.line.close()
        self.process.wait()


class Keepers:
    """Thread-safe. Without `keep_one` each is started when it is wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_hand: _Waiting | None = None
        self._wanted = False

    def keep_one(self) -> None:
        """From now on have one at hand."""
        self._wanted = True
        self._refill()

    def start(self, job: Path, lock: int, log: int) -> subprocess.Popen[bytes]:
        """A keeper of the job's folder that has the locked descriptor `lock`, and prints to `log`. Raises OSError."""
        with self._lock:
            ready, self._at_hand = self._at_hand, None
        if ready is not None:
            try:
                ready.tell(job, lock, log)
            except OSError:  # somebody killed it while it waited
                ready.dismiss()
                ready = None
        if ready is None:
            ready = _start()
            ready.tell(job, lock, log)
        if self._wanted:
            threading.Thread(target=self._refill, name="keeper", daemon=True).start()
        return ready.process

    def close(self) -> None:
        """Let the one at hand go, and have none any more."""
        self._wanted = False
        with self._lock:
            ready, self._at_hand = self._at_hand, None
        if ready is not None:
            ready.dismiss()

    def _refill(self) -> None:
        """Failing is no harm: the next one is started when it is wanted, and tells."""
        with self._lock, contextlib.suppress(OSError):
            if self._wanted and self._at_hand is None:
                self._at_hand = _start()


def _start() -> _Waiting:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, str(Path(__file__).parent)],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return _Waiting(process, ours)
