"""Objects of a mirror, asked of one `git cat-file` that goes on answering.

A push asks for a dozen small things: a commit's message, a file, the id of a folder, what differs from the commit before. A git
started for each takes 5 ms, most of it the start; one that is at hand takes 0.1 ms. It reads its questions from a pipe,
so it ends with this process at the latest. An answer that is not as it should be ends it, is a GitError with its own
words, and the next question is put to a new one.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from service import limits
from service.source.git import Git, GitError

_CHUNK = 256 * limits.KIB
# Questions that are put at once: what they and their answers take fits into the pipes, also into those of one page that a user
# with very many gets.
_AT_ONCE = 64
# What of a mirror is kept in memory: so many commits and folders, of which none is larger.
_KEPT, _KEPT_BYTES = 64, 16 * limits.KIB
_ID = 40  # characters of a whole id; anything else may name something else tomorrow
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
        self._contents = _Talk(git, "--batch")
        self._headers = _Talk(git, "--batch-check")

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


class _Talk:
    """One `git cat-file`, started when it is asked and again when it has ended or the mirror is another one by now."""

    def __init__(self, git: Git, mode: str) -> None:
        self._git = git
        self._mode = mode
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def content(self, sha: str, kind: bytes, cap: int) -> bytes:
        return self.contents([sha], kind, cap)[0]

    def contents(self, names: Sequence[str], kind: bytes, cap: int) -> list[bytes]:
        with self._asked(names) as running:
            return [running.content(name, kind, cap) for name in names]

    def kept(self, sha: str, kind: bytes, cap: int) -> bytes:
        """The same of what is asked for again and again on a push's way, the last few commits and folders: an id names its content."""
        with self._lock:
            kept = self._present().kept
            data = kept.pop((kind, sha), None)
            if data is not None:
                kept[kind, sha] = data
                return data
        data = self.content(sha, kind, cap)
        if len(sha) == _ID and len(data) <= _KEPT_BYTES:
            with self._lock:
                kept[kind, sha] = data
                if len(kept) > _KEPT:
                    del kept[next(iter(kept))]
        return data

    def sizes(self, blobs: Sequence[str]) -> list[int]:
        with self._asked(blobs) as running:
            return [running.header(blob, b"blob") for blob in blobs]

    def commits(self, names: Sequence[str]) -> list[str | None]:
        with self._asked([f"{name}^{{commit}}" for name in names]) as running:
            answers = [running.line() for _ in names]
        return [answer[0].decode() if answer[1:2] == [b"commit"] else None for answer in answers]

    def close(self) -> None:
        with self._lock:
            self._end()

    @contextlib.contextmanager
    def _asked(self, names: Iterable[str]) -> Iterator[_Running]:
        """The git that was asked, to read from. When that fails it is not asked again: it is out of step."""
        with self._lock:
            running = self._present()
            try:
                running.ask(names)
                yield running
            except BaseException:
                self._end()
                raise

    def _present(self) -> _Running:
        place = self._git.identity()
        if self._running is not None and (self._running.place != place or not self._running.alive()):
            self._end()
        if self._running is None:
            self._running = _Running(self._git, self._mode, place)
        return self._running

    def _end(self) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None


class _Running:
    def __init__(self, git: Git, mode: str, place: tuple[int, int] | None) -> None:
        self.place = place
        self.kept: dict[tuple[bytes, str], bytes] = {}  # the longest unused first
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = git.talk("cat-file", mode, stderr=self._said.fileno())
        self.close = weakref.finalize(self, _close, self._process, self._said)
        self._timeout_s = git.timeout_s
        self._deadline = 0.0
        self._read = bytearray()

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, names: Iterable[str]) -> None:
        assert self._process.stdin is not None
        self._deadline = time.monotonic() + self._timeout_s
        try:
            self._process.stdin.write("".join(f"{name}\n" for name in names).encode())
        except BrokenPipeError:
            raise self.failure("it has ended") from None

    def header(self, sha: str, kind: bytes) -> int:
        """The size of the object `sha`, which has to be there and of this kind."""
        words = self.line()
        if len(words) != 3 or words[1] != kind:
            raise self.failure(f"error: missing object {sha}: {b' '.join(words).decode(errors='replace')}")
        return int(words[2])

    def line(self) -> list[bytes]:
        """The words of an answer: name, kind and size, or what was asked and why there is none."""
        while (end := self._read.find(b"\n")) < 0:
            self._more()
        words = bytes(self._read[:end]).split(b" ")
        del self._read[: end + 1]
        return words

    def content(self, sha: str, kind: bytes, cap: int) -> bytes:
        size = self.header(sha, kind)
        if size > cap:
            raise self.failure(f"{sha} has {size} bytes", too_much=True)
        return self.take(size + 1)[:-1]

    def take(self, size: int) -> bytes:
        while len(self._read) < size:
            self._more()
        data = bytes(self._read[:size])
        del self._read[:size]
        return data

    def _more(self) -> None:
        assert self._process.stdout is not None
        handle = self._process.stdout.fileno()
        if not select.select([handle], [], [], max(0.0, self._deadline - time.monotonic()))[0]:
            raise self.failure("", timed_out=self._timeout_s)
        if not (chunk := os.read(handle, _CHUNK)):
            raise self.failure("it has ended")
        self._read += chunk

    def failure(self, what: str, *, timed_out: float | None = None, too_much: bool = False) -> GitError:
        """With all that it said; it is of no use any more."""
        _stop(self._process)
        self._said.seek(0)
        said = self._said.read(64 * limits.KIB).decode("utf-8", "replace")
        return GitError(
            "cat-file", self._process.returncode or 0, f"{what}\n{said}".strip(), timed_out=timed_out, too_much=too_much
        )


def _close(process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
    _stop(process)
    said.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    with process:  # closes its pipes and waits
        pass
