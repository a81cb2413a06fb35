"""The files of one commit as one `.tar.gz`, with equal bytes wherever and whenever it is made.

Made from git's objects, as a checkout is: nothing that `.gitattributes` or a configuration says changes what is in it.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from service import limits
from service.source.git import Git, GitError
from service.source.manifest import listing, refused
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
    entries = []
    for line in listing(git, commit).split(b"\0")[:-1]:
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
