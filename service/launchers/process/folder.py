"""One job's folder: made before its start, looked at ever after. There is no other memory of a job."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from service import limits
from service.errors import LaunchFailed
from service.faults import point
from service.launchers import EndReason, Job, Life
from service.launchers.process.children import mind
from service.launchers.process.keeper import layout
from service.launchers.process.keeper.processes import new_tag
from service.launchers.process.keepers import Keepers
from service.launchers.process.places import hand_over
from service.launchers.process.supply import Supplies
from service.launchers.process.trash import Trash, remove

_ID = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_BAD_JOB = 2  # the runner's exit code for a document that it can't read; it would say so again
_KEEP_S = 10.0  # a keeper that has not begun after this will not (it takes 0.05 s on an idle machine)


class Folder:
    """`user`: the uid its job runs as, None for our own; its keeper comes from `keepers`, its files go to `trash`."""

    def __init__(self, runs_dir: Path, job: str, user: int | None, keepers: Keepers, trash: Trash) -> None:
        if not _ID.fullmatch(job):
            raise LaunchFailed(f"{job!r} is not a job id", mend="Use lower-case letters, digits and '-', 63 at most")
        self.job = job
        self.path = runs_dir / job
        self.user = user
        self._keepers = keepers
        self._trash = trash
        self.inner = self.path / layout.FOLDER
        self.source = self.path / layout.SOURCE

    @property
    def owner(self) -> int:
        """Whose files the runner's are."""
        return os.geteuid() if self.user is None else self.user

    # What is known.

    @property
    def ended(self) -> dict[str, Any] | None:
        return layout.read_document(self.path / layout.ENDED)

    @property
    def claimed(self) -> bool:
        return os.path.lexists(self.inner / layout.CLAIMED)

    @property
    def cancelled(self) -> bool:
        return (self.path / layout.CANCELLED).exists()

    @property
    def prepared(self) -> bool:
        return (self.path / layout.START).exists()

    def life(self) -> Life:
        if self.ended is not None:
            return Life.GONE
        if not self.prepared:
            return Life.UNKNOWN
        if self.claimed:
            return Life.ALIVE
        return Life.STARTING if self.kept() else Life.UNKNOWN

    def kept(self) -> bool:
        """Whether a keeper holds the lock."""
        return layout.held(self.path / layout.LOCK)

    # Making it.

    def make(self) -> None:
        """The empty folder; also for a job that is only to be cancelled."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        self.path.chmod(0o700 if self.user is None else 0o711)

    def prepare(self, job: Job, supply: Callable[[Path], tuple[Supplies, Path | str]], told: Mapping[str, Any]) -> None:
        """Everything that the start needs, durable. `start.json` is the last: with it, the job can be started.

        `supply` is asked with the job's source, for what to start with and for a warm parent, or why there is none. `told` stands
        in the job's document, which only its runner can read besides us.
        """
        self._make_inner()
        self._fetch_source(job)
        supplies, warm = supply(self.source)
        document = {
            **job.payload,
            **told,
            "version": 1,
            "id": job.id,
            "kind": str(job.kind),
            "source": str(self.source),
            "folder": str(self.inner),
            "log_bytes": limits.RUN_LOG_BYTES,
        }
        group = -1 if self.user is None else self.user
        layout.write_document(self.path / layout.JOB, document, mode=0o640, group=group, last=False)
        order = {
            "id": job.id,
            "command": [str(supplies.python), "-u", str(supplies.program), str(self.path / layout.JOB)],
            "environment": self.environment(job, supplies),
            "directory": str(self._directory(job)),
            "user": self.user,
            "timeout_s": job.timeout_s,
            "grace_s": limits.CANCEL_GRACE_S,
            "log_bytes": limits.RUN_LOG_BYTES,
            "processes": limits.RUN_PROCESSES,
            "tag": new_tag(),
            "warm": str(warm) if isinstance(warm, Path) else None,
            "cold": warm if isinstance(warm, str) else "",
        }
        layout.write_document(self.path / layout.START, order)

    def environment(self, job: Job, supplies: Supplies) -> dict[str, str]:
        """Built from nothing: what the service has in its environment is not the job's business."""
        return {
            "PATH": os.pathsep.join([str(supplies.python.parent), "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(self.inner / "home"),
            "TMPDIR": str(self.inner / "tmp"),
            "LANG": "C.UTF-8",
            # MLRun asks for the user's name, and a uid of its own has no entry in passwd.
            "USER": "mlrun-gitops",
            "LOGNAME": "mlrun-gitops",
            **job.environment,
            "GITOPS_JOB": job.id,
        }

    def _make_inner(self) -> None:
        """The runner's folder is filled before it is the runner's: later, nothing of it can be trusted."""
        if self.inner.exists() and self.inner.stat().st_uid == self.owner and (self.inner / layout.OUTPUT).exists():
            return
        shutil.rmtree(self.inner, ignore_errors=True)
        self.inner.mkdir(mode=0o700)
        for name in (layout.ARTIFACTS, "home", "tmp"):
            (self.inner / name).mkdir(mode=0o700)
        (self.inner / layout.EVENTS).touch(mode=0o600)
        os.mkfifo(self.inner / layout.OUTPUT, 0o600)
        if self.user is not None:
            os.chown(self.inner / layout.OUTPUT, self.user, self.user)
        hand_over(self.inner, self.user)

    def _fetch_source(self, job: Job) -> None:
        if not self.source.is_dir():
            job.source(self.source)
        if self.source.stat().st_uid != self.owner:  # its top is handed over last
            hand_over(self.source, self.user)

    def _directory(self, job: Job) -> Path:
        """Where the job begins: the project's directory. A wrong one is the runner's to complain about."""
        project = job.payload.get("project")
        path = project.get("path", ".") if isinstance(project, dict) else "."
        directory = (self.source / str(path)).resolve()
        return directory if directory.is_dir() and directory.is_relative_to(self.source) else self.source

    # Starting it.

    def keep(self, prepare: Callable[[], None] = lambda: None) -> bool:
        """See that a keeper is there; it starts the job unless it was started, or adopts it. False: it does not begin.

        Whoever gets the lock prepares the job unless it has begun, starts the keeper and hands the locked descriptor
        over: at no moment could another one do the same, and the lock is never held by nobody that works.
        """
        self.make()
        deadline = time.monotonic() + _KEEP_S
        keeper: subprocess.Popen[bytes] | None = None
        while time.monotonic() < deadline:
            if self.ended is not None:
                break
            if keeper is None and (lock := self._lock()) is not None:
                try:
                    if not self.begun:
                        prepare()
                    point("launcher.before-start")
                    keeper = self._start_keeper(lock)
                    deadline = time.monotonic() + _KEEP_S
                    point("launcher.after-start")
                finally:
                    os.close(lock)
            elif self.begun and self.kept():
                break
            elif keeper is not None and keeper.poll() is not None:
                return self.ended is not None
            time.sleep(0.005)
        else:
            return False
        if keeper is not None:
            mind(keeper)
        return True

    @property
    def begun(self) -> bool:
        return (self.path / layout.STARTED).exists() or self.claimed

    def _lock(self) -> int | None:
        lock = os.open(self.path / layout.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def _start_keeper(self, lock: int) -> subprocess.Popen[bytes]:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        log = os.open(self.path / layout.LOG, flags, 0o600)  # a keeper that breaks says so in the job's log
        try:
            return self._keepers.start(self.path, lock, log)
        finally:
            os.close(log)

    @property
    def unclaimed(self) -> bool:
        """It ended of itself before its runner claimed it: nothing of the user's ran, so it may be started again."""
        ended = self.ended
        return (
            ended is not None
            and ended.get("reason") in (None, EndReason.EXITED, EndReason.KILLED)
            and ended.get("exit_code") != _BAD_JOB
            and self.prepared
            and not self.claimed
        )

    def begin_again(self) -> None:
        """Forget that it was started; the log and the events go on."""
        deadline = time.monotonic() + _KEEP_S
        while (lock := self._lock()) is None:  # its keeper is on its way out, or another service is at it
            if not self.unclaimed or time.monotonic() > deadline:
                return
            time.sleep(0.005)
        try:
            if self.unclaimed:
                for name in (layout.STARTED, layout.PROCESS, layout.ENDED):
                    (self.path / name).unlink(missing_ok=True)
        finally:
            os.close(lock)

    # Ending it.

    def cancel(self, reason: EndReason) -> None:
        """Mark it; the first reason stays. Its keeper carries it out, a new one where there is none."""
        self.make()
        if self.ended is not None:
            return
        if not self.cancelled:
            layout.write_document(self.path / layout.CANCELLED, {"reason": str(reason)})
        if self.prepared:
            self.keep()
        elif (lock := self._lock()) is not None:
            # Under the lock, so that a start that is on its way finds it.
            try:
                layout.write_document(self.path / layout.ENDED, {"reason": str(reason), "exit_code": None})
            finally:
                os.close(lock)

    def clean(self) -> None:
        """Remove what the job left, but its log, its artifacts and the word that it has ended."""
        if self.ended is None:
            return
        # First, since without it the job can't begin again. Both may hold secrets of the job.
        (self.path / layout.START).unlink(missing_ok=True)
        (self.path / layout.JOB).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self._trash.take(self.source)
        if self.inner.is_dir():
            for entry in os.scandir(self.inner):
                if entry.name != layout.ARTIFACTS:
                    remove(Path(entry.path))
