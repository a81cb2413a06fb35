"""The program of `service.py` as a process that a test may kill."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

DEADLINE_S = 30.0


def write_config(folder: Path, settings: dict[str, Any]) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"data_dir": str(folder / "data"), **settings}))
    return path


def eventually(what: str, check: Callable[[], Any], deadline_s: float = DEADLINE_S) -> Any:
    """What `check` returns once it is true; connection errors count as not yet."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if found := check():
                return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {deadline_s} s")


class Running:
    """One master with its worker. `port` is known from the start, the worker once it answers."""

    def __init__(self, config: Path, log: Path, **environment: str) -> None:
        self.log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.webhooks.service", str(config)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **environment},
            )
        assert self.process.stdout is not None
        url = self.process.stdout.readline().strip()
        assert url, f"it did not start: {log.read_text()}"
        self.port = int(url.rpartition(":")[2])

    @property
    def master(self) -> int:
        return self.process.pid

    def get(self, path: str, timeout_s: float = 10.0) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
            if answer.status != 200:
                raise http.client.HTTPException(f"{answer.status} {body}")
            return body
        finally:
            connection.close()

    def worker(self, other_than: int = 0) -> int:
        """Its pid, once it answers."""

        def answering() -> int:
            assert self.process.poll() is None, f"the master ended: {self.log.read_text()}"
            pid = int(self.get("/pid"))
            return 0 if pid == other_than else pid

        pid: int = eventually("the worker answers", answering)
        return pid

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self) -> int:
        """Wait for the master; returns its exit code."""
        try:
            return self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            assert self.process.stdout is not None
            self.process.stdout.close()


def is_alive(pid: int) -> bool:
    """A zombie is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextlib.contextmanager
def running(config: Path, log: Path, **environment: str) -> Iterator[Running]:
    service = Running(config, log, **environment)
    try:
        yield service
    finally:
        service.stop()
