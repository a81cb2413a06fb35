"""Removing what jobs left: a checkout of 100,000 files takes seconds, for which nobody waits.

It is moved into `<runs_dir>/.trash` and removed by a thread, one after the other. What a service that was killed left there is
removed by the next one.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import stat
import subprocess
import threading
from pathlib import Path

_FOLDER = ".trash"
# So many wait; who brings more waits for one to be gone, so that the disk is not filled by what is to be removed.
_MOST = 4


class Trash:
    """Of all jobs below `runs_dir`; thread-safe."""

    def __init__(self, runs_dir: Path) -> None:
        self._folder = runs_dir / _FOLDER
        self._waiting: queue.Queue[Path | None] = queue.Queue(_MOST)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def take(self, path: Path) -> None:
        """The folder `path` is not there any more, and will not be on disk before long. Raises FileNotFoundError."""
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
            return
        with contextlib.suppress(OSError):  # only who may write to a folder may move it
            path.chmod(0o700)
        away = self._folder / secrets.token_hex(8)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            path.rename(away)
        except OSError:  # a disk that is full has no room to move it to, and is the last that should keep it
            remove(path)
            return
        self._start()
        self._waiting.put(away)

    def empty(self) -> None:
        """What was left there, by whomever."""
        if self._folder.is_dir():
            self._start()

    def close(self) -> None:
        """Whatever waits stays for the next one."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            while not self._waiting.empty():
                self._waiting.get_nowait()
            self._waiting.put(None)
            thread.join(timeout=1.0)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="trash", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        left: list[Path] = []
        with contextlib.suppress(
            OSError
        ):  # what cannot be listed now is the next service's; what is brought is removed all the same
            left = list(self._folder.iterdir())
        while (path := self._next(left)) is not None:
            with contextlib.suppress(OSError):  # the next service tries again
                remove(path)

    def _next(self, left: list[Path]) -> Path | None:
        """What was brought, for somebody may wait for its turn; else what was there before."""
        with contextlib.suppress(queue.Empty):
            return self._waiting.get(block=not left)
        return left.pop()


def remove(path: Path) -> None:
    """By `rm`, which follows no link, and which no depth of folders makes run out of stack or descriptors.

    Raises OSError where no process can be started.
    """
    try:
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
            return
    except FileNotFoundError:
        return
    if not _succeeds("rm", "-rf", "--", path):
        _succeeds("chmod", "-R", "u+rwx", "--", path)  # its owner locked a folder
        _succeeds("rm", "-rf", "--", path)


def _succeeds(*command: str | Path) -> bool:
    return subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
