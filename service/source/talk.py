"""A `git cat-file` that goes on answering.

A git started for each question takes 5 ms, most of it the start; one that is at hand takes 0.1 ms. It reads its questions from a
pipe, so it ends with this process at the latest. An answer that is not as it should be ends it, is a GitError with its own
words, and the next question is put to a new one.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from service import limits
from service.source.git import Git, GitError

_CHUNK = 256 * limits.KIB
# What of a mirror is kept in memory: so many commits and folders, of which none is larger.
_KEPT, _KEPT_BYTES = 64, 16 * limits.KIB
_ID = 40  # characters of a whole id; anything else may name something else tomorrow


class Talk:
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
