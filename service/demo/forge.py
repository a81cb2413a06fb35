"""What a team has before the service comes: a repository on a Git server, its webhook, and somebody's clone of it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.demo import post_receive
from service.demo.git_server import PLAIN_GIT, UPLOAD, GitHandler, GitServer, Request
from service.errors import DemoError

NAME = "ml/fraud"
USER = "ada"
_GIT_S = 60
_HOLD_S = 30.0
_HOOK = """\
#!/bin/sh
exec '{python}' -I '{program}' '{settings}'
"""


class _SlowHandler(GitHandler):
    """Reading waits while the forge is slow; pushing does not."""

    def answer(self, request: Request) -> None:
        git = self.server.git
        if isinstance(git, _SlowServer) and request.service == UPLOAD and request.user is not None:
            git.open.wait(_HOLD_S)
        super().answer(request)


class _SlowServer(GitServer):
    handler = _SlowHandler

    def __init__(self, root: Path, *, user: str, password: str) -> None:
        super().__init__(root, user=user, password=password)
        self.open = threading.Event()
        self.open.set()


class Forge:
    """Lives in `folder`. Secrets are files there, which only this user can read."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.secret_file = _secret(folder / "webhook-secret")
        self.token_file = _secret(folder / "git-token")
        self._settings = folder / "forge.json"
        self._record = folder / "deliveries.jsonl"
        self._server = _SlowServer(folder / "git", user=USER, password=self.token_file.read_text())
        self._bare = folder / "git" / f"{NAME}.git"

    @property
    def url(self) -> str:
        """The repository's."""
        return f"{self._server.url}/{NAME}.git"

    def start(self) -> None:
        self._bare.mkdir(parents=True)
        git(self._bare, "init", "--quiet", "--bare", "--initial-branch=main")
        hook = self._bare / "hooks" / "post-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_HOOK.format(python=sys.executable, program=post_receive.__file__, settings=self._settings))
        hook.chmod(0o755)
        self._server.start()

    def stop(self) -> None:
        self._server.open.set()
        self._server.stop()

    def slow(self, *, on: bool) -> None:
        """While it is on, whoever wants to read waits for the answer."""
        self._server.open.clear() if on else self._server.open.set()

    def connect(self, webhook: str) -> dict[str, Any]:
        """Set the webhook up; a forge then sends a ping. What came of that."""
        settings = {
            "webhook": webhook,
            "secret_file": str(self.secret_file),
            "repository": NAME,
            "record": str(self._record),
        }
        self._settings.write_text(json.dumps(settings))
        payload = {"zen": "Keep it logically awesome.", "hook_id": 1, "repository": {"id": 1, "full_name": NAME}}
        return post_receive.deliver(settings, "ping", payload)

    def deliveries(self) -> list[dict[str, Any]]:
        """Each webhook that was sent, and what the service answered."""
        return [json.loads(line) for line in self._record.read_text().splitlines()]

    def clone(self, into: Path, files: Path) -> Clone:
        """A first clone with the files of a project in it, nothing committed yet."""
        shutil.copytree(files, into, ignore=shutil.ignore_patterns("__pycache__"))
        git(into, "init", "--quiet", "--initial-branch=main")
        git(into, "remote", "add", "origin", self.url)
        git(into, "config", "push.default", "current")
        git(into, "config", "user.name", "Ada")
        git(into, "config", "user.email", "ada@example.com")
        # git's own store of passwords: never in an argument, nor in the address.
        store = self.token_file.with_name("git-credentials")
        address = self._server.url.replace("://", f"://{USER}:{self.token_file.read_text()}@")
        _write(store, f"{address}\n")
        git(into, "config", "credential.helper", f"store --file={store}")
        return Clone(into)


@dataclass(frozen=True, slots=True)
class Pushed:
    """`said` is what git printed, the forge's words among it. Times are epoch seconds."""

    commit: str
    began_at: float
    ended_at: float
    said: str


class Clone:
    """Somebody's clone, and what they do in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def edit(self, file: str, old: str, new: str) -> None:
        """Raises DemoError where `old` does not stand exactly once: then the sample is not the one this story is about."""
        path = self.path / file
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise DemoError(
                f"{file} of the sample project has {old!r} {text.count(old)} times, and not once",
                mend="bring examples/fraud back to what is in Git",
            )
        path.write_text(text.replace(old, new), encoding="utf-8")

    def commit(self, subject: str) -> str:
        git(self.path, "add", "--all")
        git(self.path, "commit", "--quiet", "--message", subject)
        return git(self.path, "rev-parse", "HEAD")

    def push(self) -> Pushed:
        began = time.time()
        said = git(self.path, "push", "origin", "HEAD", words=True)
        return Pushed(git(self.path, "rev-parse", "HEAD"), began, time.time(), said)

    def changes(self) -> list[tuple[str, str]]:
        """(file, line) of the last commit, each line with its + or -."""
        found, file = [], ""
        for line in git(self.path, "show", "--format=", "--unified=0", "--no-color").splitlines():
            if line.startswith(("+++ ", "--- ")):
                file = line[4:].removeprefix("a/").removeprefix("b/")
            elif line.startswith(("+", "-")):
                found.append((file, line))
        return found


def git(folder: Path, *arguments: str, words: bool = False) -> str:
    """What git answers; with `words`, what it says to the person instead. Raises DemoError."""
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env={"PATH": os.environ["PATH"], **PLAIN_GIT},
        timeout=_GIT_S,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"git {arguments[0]} failed with exit code {done.returncode}", detail=done.stderr)
    return (done.stderr if words else done.stdout).strip()


def _secret(path: Path) -> Path:
    _write(path, secrets.token_hex(24))
    return path


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
