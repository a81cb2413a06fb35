"""The files of one commit as one `.tar.gz`, with equal bytes wherever and whenever it is made.

Made from git's objects, as a checkout is: nothing that `.gitattributes` or a configuration says changes what is in it. What
is made is kept below the data directory, by commit, as long as there is room for it.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import os
import re
import shutil
import stat
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from service import limits
from service.errors import CheckoutFailed
from service.source.checkout import refused
from service.source.git import Git, GitError
from service.source.objects import Objects

# What a level makes of the same bytes is the same wherever the same zlib is.
_LEVEL = 6
# A file up to this is read in one piece.
_PIECE_BYTES = 16 * limits.MIB
_AT_ONCE = 64
# zip files, which packages are built into, know no time before 1980; tar none after 2242.
_TIMES = (315_532_800, 8**11 - 1)
_COMMITTER = re.compile(rb"^committer .*?(\d+) [-+]\d+$", re.MULTILINE)
# As Linux has it; a longer chain of links leads nowhere.
_LINKS = 40
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


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str
    mode: int
    id: str
    size: int

    @property
    def kind(self) -> bytes:
        """Old histories have modes that git would not write any more; a submodule is the folder that a checkout makes of it."""
        kinds = {stat.S_IFREG: tarfile.REGTYPE, stat.S_IFLNK: tarfile.SYMTYPE}
        return kinds.get(stat.S_IFMT(self.mode), tarfile.DIRTYPE)

    @property
    def is_file(self) -> bool:
        return self.kind == tarfile.REGTYPE


def write(git: Git, objects: Objects, commit: str, into: IO[bytes]) -> None:
    """The archive of `commit`, which was looked through, from the start of the file `into`. Raises CheckoutFailed, not to be
    retried, where a link leads out of it; GitError, OSError."""
    entries = _entries(git, commit)
    links = {entry.path: _target(objects, entry) for entry in entries if entry.kind == tarfile.SYMTYPE}
    for path in links:
        if _leads_out(links, path):
            raise refused(commit, f"the symlink {path!r} leads out of the repository")
    into.seek(0)
    into.truncate()
    moment = _time(objects.commit(commit))
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=into, mtime=0) as zipped,
        tarfile.TarFile(
            fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
        ) as packed,
    ):
        for entry, content in _with_contents(git, objects, entries):
            member = tarfile.TarInfo(entry.path)
            member.mtime = moment
            member.type = entry.kind
            member.mode = 0o755 if member.isdir() or entry.mode & stat.S_IXUSR else 0o644
            member.size = entry.size if content else 0
            member.linkname = links.get(entry.path, "")
            packed.addfile(member, content)


def _entries(git: Git, commit: str) -> list[_Entry]:
    """In git's own order."""
    listing = git.run("ls-tree", "-r", "-z", "-l", "--full-tree", commit).stdout
    entries = []
    for line in listing.split(b"\0")[:-1]:
        meta, _, path = line.partition(b"\t")
        mode, _, sha, size = meta.split()
        entries.append(_Entry(os.fsdecode(path), int(mode, 8), sha.decode(), 0 if size == b"-" else int(size)))
    return entries


def _target(objects: Objects, entry: _Entry) -> str:
    """To git a link ends at a NUL, too."""
    return os.fsdecode(objects.contents([entry.id], _PIECE_BYTES)[0].partition(b"\0")[0])


def _leads_out(links: Mapping[str, str], path: str) -> bool:
    """Whether the link at `path` leads out of the tree that these are all links of."""
    ahead, here, followed = path.split("/")[::-1], list[str](), 0
    while ahead and followed <= _LINKS:
        name = ahead.pop()
        if name == "..":
            if not here:
                return True
            here.pop()
        elif name not in ("", "."):
            here.append(name)
        target = links.get("/".join(here)) if name not in ("", ".", "..") else None
        if target is not None:
            if target.startswith("/"):
                return True
            followed += 1
            here.pop()
            ahead.extend(target.split("/")[::-1])
    return False


def _with_contents(git: Git, objects: Objects, entries: list[_Entry]) -> Iterator[tuple[_Entry, IO[bytes] | None]]:
    """Each entry, a file with its content: small ones are asked for together, a large one lies on the disk meanwhile."""
    for some in _together(entries):
        small = [entry.id for entry in some if entry.is_file and entry.size <= _PIECE_BYTES]
        contents = iter(objects.contents(small, _PIECE_BYTES))
        for entry in some:
            if not entry.is_file:
                yield entry, None
            elif entry.size <= _PIECE_BYTES:
                yield entry, io.BytesIO(next(contents))
            else:
                with _large(git, entry) as content:
                    yield entry, content


def _together(entries: list[_Entry]) -> Iterator[list[_Entry]]:
    """In their order, some at a time: not more of them than fit into memory well."""
    some: list[_Entry] = []
    size = 0
    for entry in entries:
        some.append(entry)
        size += entry.size
        if len(some) == _AT_ONCE or size > _PIECE_BYTES:
            yield some
            some, size = [], 0
    yield some


@contextmanager
def _large(git: Git, entry: _Entry) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as content, tempfile.TemporaryFile() as said:
        with git.talk("cat-file", "blob", entry.id, stderr=said.fileno()) as asked:
            assert asked.stdout is not None
            shutil.copyfileobj(asked.stdout, content)
        if content.tell() != entry.size:
            raise GitError("cat-file", 0, f"error: missing object {entry.id}")
        content.seek(0)
        yield content


def _time(commit: bytes) -> int:
    found = _COMMITTER.search(commit.partition(b"\n\n")[0])
    return min(max(int(found[1]) if found else 0, _TIMES[0]), _TIMES[1])
