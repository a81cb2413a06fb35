"""What a git prints while it runs: read as it comes, up to a cap, a deadline and an interrupt."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
import weakref
from collections.abc import Callable
from typing import IO

from service import limits
from service.errors import Stopping

_STDERR_BYTES = 64 * limits.KIB
_CHUNK = 64 * limits.KIB


class Interrupt:
    """Once it is set, no git runs under it any more. A pipe, since who waits for a git waits for what it prints."""

    def __init__(self) -> None:
        read, write = os.pipe()
        self._read, self._write = os.fdopen(read, "rb", 0), os.fdopen(write, "wb", 0)
        weakref.finalize(self, _close, self._read, self._write)

    def set(self) -> None:
        self._write.close()

    def check(self, what: str) -> None:
        """Raises Stopping, which says `what`, once it is set."""
        if self._write.closed:
            raise stopping(what)

    def fileno(self) -> int:
        """Can be read once it is set."""
        return self._read.fileno()


def _close(*files: IO[bytes]) -> None:
    for file in files:
        file.close()


def stopping(what: str) -> Stopping:
    return Stopping(f"the service is stopping: {what}")


class Pump:
    """Feeds stdin and drains stdout and stderr until both end, the deadline passes, stdout grows past its cap or somebody interrupts."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes, cap: int) -> None:
        self.stdout = bytearray()
        self.full = False
        self.interrupted = False
        self._errors = bytearray()
        self._cap = cap
        self._rest = memoryview(stdin)
        self._process = process

    @property
    def stderr(self) -> str:
        return self._errors.decode("utf-8", "replace").strip()

    def run(self, deadline: float, interrupt: Interrupt) -> bool:
        """True when git closed both its outputs."""
        with selectors.DefaultSelector() as selector:
            streams: list[tuple[IO[bytes] | None, int, Callable[[IO[bytes]], bool]]] = [
                (self._process.stdout, selectors.EVENT_READ, self._take_output),
                (self._process.stderr, selectors.EVENT_READ, self._take_error),
                (self._process.stdin, selectors.EVENT_WRITE, self._give_input),
            ]
            for stream, event, handle in streams:
                if stream is not None:
                    os.set_blocking(stream.fileno(), False)
                    selector.register(stream, event, handle)
            selector.register(interrupt, selectors.EVENT_READ)
            while len(selector.get_map()) > 1:  # the interrupt stays
                ready = selector.select(deadline - time.monotonic())
                if self.full or (not ready and time.monotonic() >= deadline):
                    return False
                self.interrupted = any(key.data is None for key, _ in ready)
                if self.interrupted:
                    return False
                for key, _ in ready:
                    if not key.data(key.fileobj):
                        selector.unregister(key.fileobj)
                        key.fileobj.close()  # type: ignore[union-attr]  # registered above as files
        return not self.full

    def _take_output(self, stream: IO[bytes]) -> bool:
        chunk = os.read(stream.fileno(), _CHUNK)
        self.stdout += chunk
        self.full = len(self.stdout) > self._cap
        return bool(chunk) and not self.full

    def _take_error(self, stream: IO[bytes]) -> bool:
        chunk = os.read(stream.fileno(), _CHUNK)
        self._errors += chunk[: max(0, _STDERR_BYTES - len(self._errors))]
        return bool(chunk)

    def _give_input(self, stream: IO[bytes]) -> bool:
        try:
            self._rest = self._rest[os.write(stream.fileno(), self._rest[:_CHUNK]) :]
        except BrokenPipeError:  # git ended before it read everything; its exit code tells
            return False
        return bool(self._rest)
