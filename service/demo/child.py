"""The service as its users run it: `serve` with a config.yaml, as a process of its own.

What it starts itself (runners, and the warm parent, which outlives it by design) comes to us when it ends, since we are
their subreaper; so at the end nothing is left, whatever happened.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from service.demo.waiting import until
from service.errors import DemoError, GitopsError
from service.launchers.process.keeper import processes

# The service gives requests in flight and its own closing up to 20 s.
_STOP_S = 25.0
_READY_S = 60.0
_END_S = 10.0
_LISTENS = re.compile(r"listens on (http://\S+)")
# What says where a Python 3.9 is or where runner environments are kept counts here too; nothing else of the person's does.
_KEPT = ("GITOPS_LAUNCHER__RUNNER_PYTHON", "GITOPS_LAUNCHER__CACHE_DIR")


def environment() -> dict[str, str]:
    """Ours, without the settings of another service."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GITOPS_") or name in _KEPT}


class Child:
    """Lives in `folder`, with `config.yaml`, `service.log` (standard error) and `console.txt` (what its console handler says)."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.config = folder / "config.yaml"
        self.log = folder / "service.log"
        self.console = folder / "console.txt"
        self.config.write_text(yaml.safe_dump(dict(settings), sort_keys=False))
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self, ready: Callable[[str], bool]) -> None:
        """`ready` is asked with its address until it says so. Raises DemoError."""
        processes.become_subreaper()
        with self.log.open("ab") as log, self.console.open("ab") as console:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve", "--config", str(self.config)],
                cwd=Path(__file__).parents[2],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us; we stop it
            )
        until(lambda: self._listens() and ready(self.url), _READY_S, "the service to be ready", self.check)

    def check(self) -> None:
        """Raises DemoError when it has ended."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise DemoError(f"the service ended by itself, with exit code {code}", mend="its log says why")

    def tail(self, lines: int = 12) -> list[str]:
        """The end of its log."""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        except OSError:
            return []

    def said(self) -> str:
        """What its console handler said so far."""
        return self.console.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """Stop it as a supervisor does, then end what it left. Raises DemoError when something would not go."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        _end_orphans()

    def _listens(self) -> bool:
        if not self.url and (found := _LISTENS.search("\n".join(self.tail(50)))):
            self.url = found[1]
        return bool(self.url)


def _end_orphans() -> None:
    """End everything that descends from us."""
    deadline = time.monotonic() + _END_S
    while time.monotonic() < deadline:
        processes.reap()
        if not (left := _descendants()):
            return
        for process in left:
            processes.send(process, signal.SIGKILL)
        time.sleep(0.01)
    raise GitopsError(f"these processes would not end: {[process.pid for process in _descendants()]}")


def _descendants() -> list[processes.Process]:
    found = processes.everything()
    children: dict[int, list[processes.Process]] = {}
    for process in found.values():
        children.setdefault(process.parent, []).append(process)
    ours, waiting = [], [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        ours += below
        waiting += [process.pid for process in below]
    return ours
