"""The way of one pod, from what it was given to its exit code."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import select
import shutil
import signal
import sys
import time
from typing import Any, List, Optional

from . import preflight
from .secret import BadSecretError, Secret
from .service import OverError, Patience, RefusedError, Service, TakenError, UnavailableError
from .words import say_why

# Nothing has begun before the claim, so a pod that can't get on gives its place back.
PATIENCE_S = 3600.0
# Kubernetes kills a pod 30 s after it asked it to end, by default.
HURRY_S = 20.0
NOTHING_TO_DO, FAILED, BAD_JOB, INCOMPATIBLE, TRY_AGAIN = 0, 1, 2, 3, 75


def main(folder: str) -> int:
    """The exit code: the runner's own (128+n: signal n), or one of those above where there was none."""
    try:
        secret = Secret(folder)
    except BadSecretError as exc:
        say_why(str(exc))
        return BAD_JOB
    companion = Companion(Service(secret))
    companion.hear()
    try:
        return companion.run()
    except (OverError, TakenError) as exc:
        say_why(f"nothing to do: {exc}")
        return NOTHING_TO_DO
    except RefusedError as exc:
        say_why(str(exc))
        return FAILED
    except UnavailableError as exc:
        say_why(f"gave up before anything began: {exc}")
        return TRY_AGAIN
    except _EndedError as exc:
        return 128 + exc.number
    except OSError as exc:
        say_why(f"the job could not be begun: {exc}")
        return FAILED


class Companion:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._claimer = claimer()
        self._patience = Patience(lambda: self._until)
        self._until = time.monotonic() + PATIENCE_S
        self._child: Any = None
        self._begun = False
        self._hurry = False
        self._signal = 0
        self._wake, self._woken = os.pipe()

    def hear(self) -> None:
        """Signals go to the runner; before there is one they end us. A first process has no handlers unless it sets them."""
        for end in (self._wake, self._woken):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._heard)

    def run(self) -> int:
        found = preflight.find()
        document = self._patience.ask(self._service.job)
        faults = preflight.faults(found, document.get("needs") or {})
        if faults:
            say_why("this image cannot run the job: {}".format("; ".join(faults)))
            self._patience.ask(lambda: self._service.incompatible(faults, found, document.get("needs")))
            return INCOMPATIBLE
        path, source, folder = self._place(document)
        count = self._patience.ask(lambda: self._service.claim(self._claimer, found))
        return self._follow(document, folder, source, path, count, found)

    def _place(self, document: Any) -> Any:
        """Files, folder and job document, made anew: what another start of this pod left is of no use."""
        from .files import BadArchiveError, Download, unpack

        base = os.getcwd()
        source, folder, archive = (os.path.join(base, name) for name in ("source", "job", "source.tar.gz"))
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        if os.path.exists(archive):
            os.unlink(archive)
        self._patience.ask(Download(self._service, archive).try_again)
        try:
            unpack(archive, source)
        except BadArchiveError as exc:
            raise RefusedError(f"the files of the job are refused: {exc}") from exc
        os.unlink(archive)
        path = os.path.join(folder, "job.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(dict(document["job"], source=source, folder=folder), file)
        return path, source, folder

    def _follow(self, document: Any, folder: str, source: str, path: str, count: int, found: Any) -> int:
        from .child import Child
        from .relay import Relay

        relay = Relay(
            self._service,
            folder,
            self._claimer,
            found,
            count=count,
            result=document["job"].get("kind") == "load",
            look_s=float(document.get("look_s") or 15.0),
            stop=self._stop,
            wake=self._nudge,
        )
        command = [sys.executable or "python", "-u", os.path.abspath(sys.argv[0]), path]
        self._begun = True
        child = self._child = Child(command, source, environment())
        if self._signal:  # while it was being started
            child.signal(self._signal)
        relay.start()
        while child.code is None:
            child.look()
            self._wait()
        self._say_how(child)
        flush_s = float(document.get("flush_s") or 3600.0)
        relay.end()
        while not relay.done(HURRY_S if self._hurry else flush_s):
            child.look()
            self._wait()
        if relay.left:
            say_why(f"the service does not have all events of the job: {relay.left}")
        code: int = child.code
        return code if code >= 0 else 128 - code

    def _wait(self) -> None:
        """Until a signal, or until it is time to look again."""
        select.select([self._wake], [], [], 0.5)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)

    def _nudge(self) -> None:
        """From the relay's thread: look at once."""
        with contextlib.suppress(BlockingIOError):  # it is woken anyway
            os.write(self._woken, b"x")

    def _heard(self, number: int, _frame: Any) -> None:
        if not self._begun:
            raise _EndedError(number)
        self._hurry = True
        self._signal = number
        if self._child is not None:
            self._child.signal(number)

    def _stop(self, why: str) -> None:
        """From the relay's thread: the service wants no more of this job."""
        say_why(f"ends the job: {why}")
        self._child.signal(signal.SIGTERM)

    def _say_how(self, child: Any) -> None:
        if child.code == -signal.SIGKILL and child.signalled is None:
            say_why(f"the runner was killed (signal 9){_memory()}")


class _EndedError(Exception):
    """A signal before there was anything to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def claimer() -> str:
    """Who we are: the pod, as far as we know it, and of it this process. The same pod may be started twice, also where it is never
    to be restarted (Kubernetes' documentation of Jobs, "Handling Pod and container failures")."""
    process = secrets.token_urlsafe(18)
    pod = os.environ.get("GITOPS_CLAIMER", "")
    return f"{pod}_{process}" if re.match(r"^[0-9a-f-]{36}$", pod) else process


def environment() -> Any:
    """The pod's own, in which nothing is secret, and a name for a user that the image may not know."""
    mine = dict(os.environ)
    for name in ("USER", "LOGNAME"):
        mine.setdefault(name, mine.get("LOGNAME") or "gitops")
    return mine


def _memory() -> str:
    """Whether it was the kernel that killed for memory, as far as the container can see."""
    kills, limit = _number("/sys/fs/cgroup/memory.events", "oom_kill"), _number("/sys/fs/cgroup/memory.max", "")
    if kills is None:
        kills = _number("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill")
        limit = _number("/sys/fs/cgroup/memory/memory.limit_in_bytes", "")
    if not kills:
        return ", most likely for the memory it took" if kills is None else ""
    return ": it took more memory than the pod may have{}".format(f" ({limit >> 20} MiB)" if limit else "")


def _number(path: str, name: str) -> Optional[int]:
    """The number behind `name` in a file of the kernel's, or all of the file."""
    try:
        with open(path, encoding="ascii") as file:
            rows: List[List[str]] = [line.split() for line in file]
        return next(int(row[-1]) for row in rows if not name or row[0] == name)
    except (OSError, ValueError, StopIteration, IndexError):
        return None
