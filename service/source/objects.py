"""Objects of a mirror: commits, folders, files, and what differs between two trees. `talk` asks git for them.

A push asks for a dozen small things: a commit's message, a file, the id of a folder, what differs from the commit before.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service import limits
from service.source.git import Git, GitError
from service.source.talk import Talk

# Questions that are put at once: what they and their answers take fits into the pipes, also into those of one page that a user
# with very many gets.
_AT_ONCE = 64
# Folders of one comparison. A few objects can be a tree of any size, when each holds the next one many times.
_FOLDERS = 2_000
FOLDER = b"40000"
FILE = b"100644"
PROGRAM = b"100755"
SYMLINK = b"120000"
SUBMODULE = b"160000"
_MODES = {mode: mode for mode in (FOLDER, FILE, PROGRAM, SYMLINK, SUBMODULE)}


@dataclass(frozen=True, slots=True)
class Found:
    """One entry of a folder: `mode` is FOLDER, FILE, PROGRAM, SYMLINK or SUBMODULE."""

    mode: bytes
    id: str


@dataclass(frozen=True, slots=True)
class Change:
    """What stands at `path` (of a file, link or submodule) before and after; None: nothing."""

    path: bytes
    before: Found | None
    after: Found | None


class Objects:
    """Of the mirror that `git` works on; thread-safe. Every method raises GitError for what is missing or broken."""

    def __init__(self, git: Git) -> None:
        self._contents = Talk(git, "--batch")
        self._headers = Talk(git, "--batch-check")

    def commit(self, sha: str) -> bytes:
        """Header and message, as git keeps them."""
        return self._contents.kept(sha, b"commit", limits.GIT_OUTPUT_BYTES)

    def commits(self, names: Sequence[str]) -> list[str | None]:
        """The commit that each is or, being a tag, leads to; None for whatever else, and for what is broken."""
        return [
            commit
            for at in range(0, len(names), _AT_ONCE)
            for commit in self._headers.commits(names[at : at + _AT_ONCE])
        ]

    def root(self, commit: str) -> str:
        """The id of the commit's whole tree."""
        return self.commit(commit)[5:45].decode()

    def folder(self, tree: str) -> dict[bytes, Found]:
        """The entries of a tree, in git's order."""
        data = self._contents.kept(tree, b"tree", limits.GIT_OUTPUT_BYTES)
        entries: dict[bytes, Found] = {}
        at, size = 0, len(data)
        while at < size:
            end = data.index(b"\0", at)
            mode, _, name = data[at:end].partition(b" ")
            at = end + 21
            entries[name] = Found(_MODES.get(mode) or _mode(mode), data[end + 1 : at].hex())
        return entries

    def find(self, commit: str, path: str) -> Found | None:
        """What stands at the clean `path`, or the symlink that stands on the way to it; None where there is nothing."""
        found = Found(FOLDER, self.root(commit))
        for name in path.split("/") if path else ():
            if found.mode == SYMLINK:
                break
            if found.mode != FOLDER or (entry := self.folder(found.id).get(os.fsencode(name))) is None:
                return None
            found = entry
        return found

    def blob(self, sha: str, cap: int) -> bytes | None:
        """A file's content; None when it is larger than `cap`."""
        (size,) = self.sizes([sha])
        return None if size > cap else self._contents.content(sha, b"blob", cap)

    def contents(self, blobs: Sequence[str], cap: int) -> list[bytes]:
        """Of files of which is known that they are small together; `too_much` where one is larger than `cap`."""
        parts = [blobs[at : at + _AT_ONCE] for at in range(0, len(blobs), _AT_ONCE)]
        return [content for part in parts for content in self._contents.contents(part, b"blob", cap)]

    def sizes(self, blobs: Sequence[str]) -> list[int]:
        """Bytes of each."""
        return [
            size for at in range(0, len(blobs), _AT_ONCE) for size in self._headers.sizes(blobs[at : at + _AT_ONCE])
        ]

    def changes(self, before: str | None, after: str) -> Iterator[Change]:
        """What differs between two trees (None: an empty one), at the cost of the folders that differ; `too_much` beyond some thousand of them."""
        waiting: list[tuple[bytes, str | None, str | None]] = [(b"", before, after)] if before != after else []
        for _ in range(_FOLDERS + 1):
            if not waiting:
                return
            prefix, old_tree, new_tree = waiting.pop()
            old = self.folder(old_tree) if old_tree else {}
            new = self.folder(new_tree) if new_tree else {}
            for name in old.keys() | new.keys():
                was, now = old.get(name), new.get(name)
                if was == now:
                    continue
                was_folder, now_folder = _folder(was), _folder(now)
                if was_folder or now_folder:
                    waiting.append((prefix + name + b"/", was_folder, now_folder))
                was, now = None if was_folder else was, None if now_folder else now
                if was or now:
                    yield Change(prefix + name, was, now)
        raise GitError("cat-file", 0, f"more than {_FOLDERS:,} folders differ", too_much=True)

    def close(self) -> None:
        self._contents.close()
        self._headers.close()


def _mode(written: bytes) -> bytes:
    """As git reads a mode that it would not write any more: old histories have `040000`, `100664`, even `100775`."""
    mode = int(written, 8)
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFREG:
        return PROGRAM if mode & stat.S_IXUSR else FILE
    return {stat.S_IFDIR: FOLDER, stat.S_IFLNK: SYMLINK}.get(kind, SUBMODULE)


def _folder(entry: Found | None) -> str | None:
    return entry.id if entry and entry.mode == FOLDER else None


def parents_of(commit: bytes) -> list[str]:
    header = commit.partition(b"\n\n")[0]
    return [line[7:].decode() for line in header.splitlines() if line.startswith(b"parent ")]
