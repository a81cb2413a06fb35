"""All that the demo needs, started in order and gone at the end: a folder, a forge, a listener, the service."""

from __future__ import annotations

import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

from service.cli.client import Client
from service.demo.child import Child, environment
from service.demo.forge import USER, Forge
from service.demo.listener import Listener
from service.demo.screen import Screen, Working
from service.demo.watch import REPOSITORY, Watch
from service.errors import DemoError, UnreachableError
from service.launchers.process.environment import ensure_environment
from service.settings import load_settings

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Somebody wants it to end. `code` is what a shell answers for the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


class Stage:
    """`child`, `forge`, `watch` are there once `opened` has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.forge = Forge(folder / "forge")
        self.listener = Listener(folder / "listener-secret")
        self.child = Child(folder, self._settings())
        self.ping: dict[str, Any] = {}

    @cached_property
    def watch(self) -> Watch:
        return Watch(Client(self.child.url, None), self.child, self.forge, self.listener)

    def install(self, working: Working) -> str:
        """The runner environment; what is in it."""
        made = ensure_environment(load_settings(self.child.config, environment()), working.say, live=True)
        python = re.search(r"^version\w* = (\S+)", (made.root / "pyvenv.cfg").read_text(), re.MULTILINE)
        return f"MLRun {made.mlrun_version} on Python {python[1] if python else 'of its own'}"

    def start(self, opened: ExitStack) -> None:
        opened.callback(self.forge.stop)
        self.forge.start()
        opened.callback(self.listener.stop)
        self.listener.start()
        opened.callback(self.child.stop)
        self.child.start(_ready)
        self.ping = self.forge.connect(f"{self.child.url}/webhooks/github/{REPOSITORY}")

    def _settings(self) -> dict[str, Any]:
        """Its config.yaml: what one for a real forge looks like, but for the free port and the private listener."""
        return {
            "data_dir": str(self.folder / "data"),
            "server": {"port": 0},
            "launcher": {"runs_dir": str(self.folder / "runs")},
            "repositories": [
                {
                    "name": REPOSITORY,
                    "url": self.forge.url,
                    "forge": "github",
                    "webhook_secrets_file": str(self.forge.secret_file),
                    "credentials": {"username": USER, "token_file": str(self.forge.token_file)},
                    "branch": "main",
                }
            ],
            "handlers": {
                "listener": {
                    "kind": "webhook",
                    "url": self.listener.url,
                    "secret_file": str(self.folder / "listener-secret"),
                    "allow_private": True,
                }
            },
            "notify": [{"to": "console"}, {"to": "listener"}],
        }


@contextmanager
def opened(screen: Screen) -> Iterator[tuple[Stage, ExitStack]]:
    """A stage on which nothing is started yet. At the end, however it comes, all is stopped and the folder is gone."""
    before = {number: signal.signal(number, _stop) for number in _SIGNALS}
    folder = Path(tempfile.mkdtemp(prefix="mlrun-gitops-demo-"))
    running = ExitStack()
    try:
        folder.chmod(0o755)  # as root, runners have a user of their own, who has to get at their jobs
        yield Stage(folder), running
    finally:
        for number in _SIGNALS:  # it takes a moment, and must not end in the middle
            signal.signal(number, signal.SIG_IGN)
        try:
            with screen.working("stopping everything"):
                running.close()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            for number, handler in before.items():
                signal.signal(number, handler)
    if folder.exists():
        raise DemoError(f"{folder} could not be removed", mend="remove it by hand")


def _stop(number: int, _: FrameType | None) -> None:
    raise Stopped(number)


def _ready(url: str) -> bool:
    try:
        Client(url, None).get("projects", limit=1)
    except UnreachableError:
        return False
    return True
