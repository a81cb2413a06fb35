"""Writes into the store what was read of logs: once a second, in one transaction for all jobs, however many print."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from service import limits
from service.errors import StoreError
from service.store import Store, jobs

log = structlog.get_logger(__name__)

_FLUSH_S = 1.0
_PIECE = 64 * limits.KIB
_FULL = f"\n[mlrun-gitops: the log is longer than {limits.RUN_LOG_BYTES // limits.MIB} MiB; the rest is dropped]\n"


@dataclass(eq=False)
class Part:
    """The end of one job's log: the store has `size` bytes, `data` is to come, and ends at `mark` in the pod's own log.

    `full`: no more is kept. `torn`: somebody else wrote; begin again. `left`: nobody wants it any more.
    """

    job: str
    size: int = 0
    data: bytes = b""
    mark: str = ""
    full: bool = False
    torn: bool = False
    left: bool = False
    urgent: bool = False


class LogWriter:
    """Any thread may add. `on_written` hears that something was written."""

    def __init__(self, store: Store, on_written: Callable[[], None]) -> None:
        self._store = store
        self._on_written = on_written
        self._parts: set[Part] = set()
        self._lock = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def begin(self, part: Part) -> str:
        """When all that was added is written: the mark that the store has, from which to read on. Raises StoreUnavailable."""
        with self._lock:
            self._lock.wait_for(lambda: not part.data or part not in self._parts or self._closed)
        with self._store.read() as connection:
            row = jobs.find(connection, part.job)
        part.size, part.mark = (row.log_size, row.log_mark) if row else (0, "")
        part.data, part.torn, part.full = b"", False, part.size >= limits.RUN_LOG_BYTES
        return part.mark

    def add(self, part: Part, new: bytes, mark: str) -> None:
        """A pod that prints faster than the store writes waits for it."""
        with self._lock:
            if not new or part.full or part.torn or part.left or self._closed:
                return
            room = limits.RUN_LOG_BYTES - part.size - len(part.data)
            if len(new) > room:
                new, part.full = new[: max(0, room)] + _FULL.encode(), True
            part.data += new
            part.mark = mark
            self._parts.add(part)
            self._start()
            if len(part.data) >= _PIECE:
                self._lock.notify_all()
            self._lock.wait_for(lambda: len(part.data) < 4 * _PIECE or part not in self._parts or self._closed)

    def hurry(self, part: Part) -> None:
        """Somebody waits for its last bytes."""
        with self._lock:
            part.urgent = True
            self._lock.notify_all()

    def drop(self, part: Part) -> None:
        """What is not written yet can be read again."""
        with self._lock:
            part.left = True
            self._parts.discard(part)
            self._lock.notify_all()

    def close(self) -> None:
        """What was added is written."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="kubernetes-logs", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or any(map(_is_due, self._parts)), _FLUSH_S)
            try:
                self._write()
            except Exception:  # without this thread no log would have an end, and no job either
                log.exception("writing logs met a bug")
                threading.Event().wait(_FLUSH_S)
        self._write()

    def _write(self) -> None:
        with self._lock:
            taken = [(part, part.size, part.data, part.mark) for part in self._parts]
        if not taken:
            return
        try:
            sizes = self._store.write(
                lambda connection: [
                    jobs.add_log(connection, part.job, size, data, mark) for part, size, data, mark in taken
                ]
            )
        except StoreError as error:
            log.warning("logs of pods could not be written; they are kept and tried again", error=str(error))
            threading.Event().wait(_FLUSH_S)
            return
        with self._lock:
            for (part, size, data, _), now in zip(taken, sizes, strict=True):
                part.torn = part.torn or now != size + len(data)
                part.size, part.data = now, b"" if part.torn else part.data[len(data) :]
                if not part.data:
                    self._parts.discard(part)
            self._lock.notify_all()
        self._on_written()


def _is_due(part: Part) -> bool:
    return part.urgent or len(part.data) >= _PIECE
