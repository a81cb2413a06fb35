"""Starting keepers: some are always at hand, started already and waiting to be told their job.

A Python that has imported what a keeper needs is there 50 ms after it was started, of which a job that was handed to one at hand
waits for none. There are as many as a push takes in a row, and those that were taken are replaced when it is through: their
start would take the processor from the very jobs it is to speed up.

It is the same process in all else: our child, which outlives us, and which holds the job's lock from the moment it is told. One
that was told of no job ends with us, for it hears our end of its socket close.
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

from service import limits

# So long after a job was handed over: what it does comes first.
_REST_S = 0.5
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
    """Thread-safe. Without `keep_ready` each is started when it is wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_hand: list[_Waiting] = []
        self._used = threading.Event()
        self._closed = threading.Event()
        self._filling: threading.Thread | None = None

    def keep_ready(self) -> None:
        """From now on have some at hand."""
        self._filling = threading.Thread(target=self._keep_filled, name="keepers", daemon=True)
        self._filling.start()

    def start(self, job: Path, lock: int, log: int) -> subprocess.Popen[bytes]:
        """A keeper of the job's folder that has the locked descriptor `lock`, and prints to `log`. Raises OSError."""
        self._used.set()
        while (ready := self._take()) is not None:
            try:
                ready.tell(job, lock, log)
            except OSError:  # somebody killed it while it waited
                ready.dismiss()
            else:
                return ready.process
        ready = _start()
        ready.tell(job, lock, log)
        return ready.process

    def close(self) -> None:
        """Let those at hand go, and have none any more."""
        self._closed.set()
        self._used.set()
        if self._filling is not None:
            self._filling.join()
        while (ready := self._take()) is not None:
            ready.dismiss()

    def _take(self) -> _Waiting | None:
        with self._lock:
            return self._at_hand.pop(0) if self._at_hand else None

    def _keep_filled(self) -> None:
        while not self._closed.is_set():
            self._fill()
            self._used.wait()
            self._used.clear()
            self._closed.wait(_REST_S)

    def _fill(self) -> None:
        """Failing is no harm: the next one is started when it is wanted, and tells."""
        with contextlib.suppress(OSError):
            while len(self._at_hand) < limits.KEEPERS:
                ready = _start()
                with self._lock:
                    self._at_hand.append(ready)


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
