"""The service as its users run it: a process of its own, killed and started again like by a supervisor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from tests.peers.service_api import ServiceApi
from tests.waiting import rest

_READY_S = 60.0
_ROOT = Path(__file__).parents[2]


class ServiceProcess(ServiceApi):
    """`config` is what config.yaml holds, but for the port, which is chosen once and kept over restarts."""

    def __init__(self, folder: Path, config: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        super().__init__(f"http://127.0.0.1:{self.port}")
        self.data_dir = folder / "data"
        self.config = folder / "config.json"
        document = {"data_dir": str(self.data_dir), **config}
        document["server"] = {"port": self.port, "internal_url": self.url, **document.get("server", {})}
        self.config.write_text(json.dumps(document))
        self.log = folder / "service.log"
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve", "--config", str(self.config)],
                cwd=_ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def wait_ready(self) -> Self:
        wait_for(self.ready, _READY_S, f"the service to be ready; its log ends:\n{self.tail()}")
        return self

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def master(self) -> int:
        assert self._process is not None
        return self._process.pid

    def workers(self) -> list[int]:
        """The master's children (granian has a resource tracker beside its worker; it is no worker)."""
        children = Path(f"/proc/{self.master}/task/{self.master}/children")
        try:
            pids = [int(pid) for pid in children.read_text().split()]
        except OSError:
            return []
        return [pid for pid in pids if b"resource_tracker" not in _cmdline(pid)]

    def kill(self, *, master: bool = False, worker: bool = False) -> None:
        """kill -9, as the kernel does it to whom it likes."""
        victims = (self.workers() if worker else []) + ([self.master] if master else [])
        for pid in victims:
            _signal(pid, signal.SIGKILL)
        if master and self._process is not None:
            self._process.wait()

    def keep_alive(self) -> None:
        """What a supervisor does."""
        if not self.alive():
            self.start()

    def tail(self, size: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""

    def stop(self) -> None:
        """As a supervisor does; `start` begins anew."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill(master=True, worker=True)

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self.http.close()

    def __enter__(self) -> Self:
        return self.start().wait_ready()

    def __exit__(self, *_: object) -> None:
        self.close()


def wait_for(condition: Callable[[], object], seconds: float, what: str | Callable[[], str]) -> None:
    """Poll until `condition` holds."""
    began = time.monotonic()
    while not condition():
        if (waited := time.monotonic() - began) > seconds:
            raise AssertionError(f"waited {seconds:.0f} s for {what if isinstance(what, str) else what()}")
        rest(waited)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
