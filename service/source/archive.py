"""Archives of commits, kept below the data directory as long as there is room for them; `tarball` says what is in one."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from service import limits
from service.errors import CheckoutFailed

_OLD_S = 3600.0


@dataclass(frozen=True, slots=True)
class Archive:
    """Open for reading; closing `file` lets go of it, and until then it is not deleted."""

    file: IO[bytes]
    size: int
    sha256: str


class Archives:
    """Those that were made, in `folder`; thread-safe, and several processes may share the folder."""

    def __init__(self, folder: Path, quota: int = limits.ARCHIVES_BYTES, wait_s: float = limits.ARCHIVE_WAIT_S) -> None:
        self._folder = folder
        self._quota = quota
        self._wait_s = wait_s
        self._making: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def open(self, commit: str, make: Callable[[IO[bytes]], object]) -> Archive:
        """The archive of `commit`, which `make` writes where there is none. Raises what `make` raises, OSError, and CheckoutFailed, to
        be retried, while somebody else is still at it."""
        if found := self._find(commit):
            return found
        with self._alone(commit):
            return self._find(commit) or self._make(commit, make)

    def _find(self, commit: str) -> Archive | None:
        for path in self._folder.glob(f"{commit}-*.tar.gz"):
            with suppress(FileNotFoundError):
                return _held(path, path.name.removesuffix(".tar.gz")[41:])
        return None

    def _make(self, commit: str, make: Callable[[IO[bytes]], object]) -> Archive:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._tidy()
        handle, name = tempfile.mkstemp(prefix=f".{commit}.", dir=self._folder)
        part = Path(name)
        try:
            with os.fdopen(handle, "w+b") as file:
                make(file)
                file.flush()
                os.fsync(handle)
                file.seek(0)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            made = _held(part, digest)  # before anybody sees it who makes room
            part.rename(self._folder / f"{commit}-{digest}.tar.gz")
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        self._make_room()
        return made

    def _make_room(self) -> None:
        """Delete those that were not asked for the longest, but none that is being sent."""
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.glob("*.tar.gz"):
            with suppress(FileNotFoundError):  # somebody else makes room, too
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        size = sum(one for _, one, _ in found)
        for _, one, path in sorted(found):
            if size <= self._quota:
                return
            with suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                size -= one

    def _tidy(self) -> None:
        """What a process left that ended while it made one."""
        for part in self._folder.glob(".*"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime > _OLD_S:
                    part.unlink()

    @contextmanager
    def _alone(self, commit: str) -> Iterator[None]:
        with self._lock:
            lock = self._making.setdefault(commit, threading.Lock())
        if not lock.acquire(timeout=self._wait_s):
            raise CheckoutFailed(
                f"The archive of commit {commit[:12]} is still being made", mend="Ask again in a moment"
            )
        try:
            yield
        finally:
            lock.release()
            with self._lock:
                if not lock.locked():
                    self._making.pop(commit, None)


def _held(path: Path, digest: str) -> Archive:
    """Open, asked for just now, and not deleted until it is closed."""
    file = path.open("rb")
    fcntl.flock(file, fcntl.LOCK_SH)
    os.utime(file.fileno())
    return Archive(file, os.fstat(file.fileno()).st_size, digest)
