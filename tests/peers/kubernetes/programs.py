"""Server programs of a peer: each with a log, ended by its pid, and never outliving who started it."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_STOP_S = 20.0
# Below what the kernel gives to outgoing connections (32768 and up), so that nobody takes the port of a server that restarts.
_PORTS = range(20000, 32000)


class Program:
    """One server. `start` and `stop` may be called again and again; the arguments, and so its ports, stay."""

    def __init__(self, argv: list[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        # The kernel kills it when the thread that started it ends, however that happens.
        self._argv = ["setpriv", "--pdeathsig", "KILL", *argv]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self.log = log

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd="/",
                start_new_session=True,
            )

    def start_until(self, well: Callable[[], bool], seconds: float, what: str) -> None:
        """Returns when it is `well`."""
        self.start()
        deadline = time.monotonic() + seconds
        while not well():
            if not self.running or time.monotonic() > deadline:
                raise RuntimeError(f"{what} did not start: {self.tail()}")
            time.sleep(0.1)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ends it, and by SIGKILL what does not end."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_S)
        self._process = None

    def pause(self) -> None:
        """It keeps its connections and says nothing any more."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def tail(self, size: int = 3000) -> str:
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""


def lasting_port() -> int:
    """A free port that is still free when a server that stopped comes back to it."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
