"""The runner as a child, in a session of its own: signalled as a group, reaped with every orphan that comes to us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from typing import Any, List, Optional

# As the service's `CANCEL_GRACE_S`.
GRACE_S = 5.0


# linux/prctl.h
_PR_SET_PDEATHSIG = 1


class Child:
    def __init__(self, command: List[str], cwd: str, environment: Any) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_us,  # noqa: PLW1509 - there are no threads yet
        )
        self.code: Optional[int] = None  # -n: by signal n
        self.signalled: Optional[int] = None
        self._kill_at = float("inf")

    def signal(self, number: int) -> None:
        """To its whole group, which is killed if it is still there after a while. May be called by a signal's handler."""
        if self.code is None:
            self.signalled = self.signalled or number
            self._kill_at = min(self._kill_at, time.monotonic() + GRACE_S)
            self._send(number)

    def look(self) -> None:
        """Reap what has ended; kill what had its time."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == self._process.pid:
                self.code = self._process.returncode = (
                    -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                )
                self._end_all()
        if self.code is None and time.monotonic() > self._kill_at:
            self._send(signal.SIGKILL)

    def _end_all(self) -> None:
        """Nothing that it started outlives it: of a container's first process, all others are such."""
        self._send(signal.SIGKILL)
        if os.getpid() == 1:
            with contextlib.suppress(OSError):
                os.kill(-1, signal.SIGKILL)

    def _send(self, number: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, number)


def _die_with_us() -> None:
    """No code of the user's runs on without anybody who tells of it, also where we are not the container's first process."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
