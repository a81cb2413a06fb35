"""Warm parents: processes that have imported MLRun and kfp, and fork a runner in 0.1 s where a cold start takes 7 s.

A parent lives in `<runs_dir>/.warm/<key>/`, where `key` names its packages and the runner program, and holds a lock
there; so any service finds it, and none starts a second one. It ends itself after a minute in which nobody asks, so
the service asks now and then for the one it would use.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import structlog

from service import limits
from service.launchers import Job
from service.launchers.process.children import mind, reap
from service.launchers.process.keeper import layout
from service.launchers.process.supply import Supplies

log = structlog.get_logger(__name__)

# Read by the interpreter and by libraries when they are imported, which a warm parent has done already.
_AT_IMPORT = ("PYTHON", "OMP", "LD_", "MKL", "OPENBLAS", "BLIS", "NUMEXPR", "VECLIB", "MALLOC_", "JE_", "ARROW")
_ASK_EVERY_S = limits.WARM_IDLE_S / 3
_ASK_S = 2.0


class WarmParents:
    """`user`: the uid jobs run as, None for our own."""

    def __init__(self, runs_dir: Path, user: int | None) -> None:
        self._home = runs_dir / layout.WARM
        self._user = user
        self._lock = threading.Lock()
        self._wanted: Supplies | None = None
        self._closed = threading.Event()
        self._asking: threading.Thread | None = None

    def offer(self, job: Job, supplies: Supplies) -> Path | str:
        """The folder of a parent, started now if need be (it may still be importing), or why `job` starts cold."""
        if supplies.cold:
            return supplies.cold
        if found := [name for name in sorted(job.environment) if name.startswith(_AT_IMPORT)]:
            return f"the job sets {', '.join(found)}, which only a fresh interpreter reads"
        return self.warm_up(supplies)

    def warm_up(self, supplies: Supplies) -> Path | str:
        """See that there is a parent for `supplies`, and that it stays."""
        folder = self._folder(supplies)
        with self._lock:
            reap()
            if not _held(folder):
                if len(others := self._alive()) >= limits.WARM_PARENTS:
                    return f"{len(others)} other warm parents are running, which is the most there may be"
                try:
                    self._start(folder, supplies)
                except OSError as error:
                    return f"no warm parent could be started: {error}"
            self._wanted = supplies
            if self._asking is None:
                self._asking = threading.Thread(target=self._keep, name="warm-parent", daemon=True)
                self._asking.start()
        return folder

    def close(self) -> None:
        """Parents live on, for a minute or until the next service asks."""
        self._closed.set()
        if self._asking is not None:
            self._asking.join()

    def _start(self, folder: Path, supplies: Supplies) -> None:
        self._home.mkdir(mode=0o711, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if self._user is not None:
            os.chown(folder, self._user, self._user)
        said = _fifo(self._home / f"{folder.name}.out")
        try:
            process = subprocess.Popen(
                # The socket's name is relative, because its path may have 107 bytes at most.
                [str(supplies.python), str(supplies.program), "--warm", layout.SOCKET],
                cwd=folder,
                env=_environment(supplies, folder),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                umask=0o077,
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
            )
        except OSError:
            os.close(said)
            raise
        mind(process, partial(_ended, said))

    def _folder(self, supplies: Supplies) -> Path:
        return self._home / hashlib.sha256(supplies.key.encode()).hexdigest()[:16]

    def _alive(self) -> list[Path]:
        return [folder for folder in self._home.glob("*/") if _held(folder)] if self._home.is_dir() else []

    def _keep(self) -> None:
        while not self._closed.wait(_ASK_EVERY_S):
            wanted = self._wanted
            if wanted is not None and ping(self._folder(wanted)) is None:
                self.warm_up(wanted)


def _ended(said: int, code: int) -> None:
    """A parent that failed is worth a line in our log."""
    if code != 0:
        log.warning("a warm parent failed", exit_code=code, said=_read(said)[-4000:])
    os.close(said)


def _fifo(path: Path) -> int:
    """Where a parent prints: nothing that seeks, since its children print to a FIFO, and never closed at the other end,
    since it outlives us.
    """
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    finally:
        path.unlink()


def _read(fifo: int) -> str:
    os.set_blocking(fifo, False)
    try:
        return os.read(fifo, 65536).decode("utf-8", "replace")
    except BlockingIOError:
        return ""


def ping(folder: Path) -> Mapping[str, object] | None:
    """What the parent in `folder` says of itself; None when it does not answer (it may be importing)."""
    try:
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_ASK_S)
            connection.connect(f"/proc/self/fd/{directory}/{layout.SOCKET}")
            connection.sendall(b'{"ping": true}\n')
            with connection.makefile("rb") as answer:
                document = json.loads(answer.readline(65536))
        return document if isinstance(document, dict) else None
    except (OSError, ValueError):
        return None
    finally:
        os.close(directory)


def _held(folder: Path) -> bool:
    """Whether a parent lives there, ready or still importing."""
    return layout.held(folder / layout.SOCKET_LOCK)


def _environment(supplies: Supplies, folder: Path) -> dict[str, str]:
    return {
        "PATH": os.pathsep.join([str(supplies.python.parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "USER": "mlrun-gitops",
        "LOGNAME": "mlrun-gitops",
    }
