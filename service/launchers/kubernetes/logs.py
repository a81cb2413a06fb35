"""What pods print, followed while they run and kept in the store after them.

A running pod costs one silent connection and a thread that sleeps on it, up to a number; beyond it a log is fetched when somebody reads it, and
at the end. Whoever reads only collects: once a second all that came is written, in one transaction for all jobs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import structlog

from service import limits
from service.errors import ClusterAway, ClusterRefused, StoreError
from service.launchers.kubernetes.api import Api, Stream
from service.launchers.kubernetes.mark import Mark, Reader
from service.store import Store, jobs

log = structlog.get_logger(__name__)

FOLLOWERS = 100
_FETCHERS = 4
_FLUSH_S = 1.0
_PIECE = 64 * limits.KIB
# A workflow may be silent for hours; a connection that nobody holds any more is found by this.
_SILENCE_S = 600.0
_PAUSE_S = 1.0
# When the pod has ended its log does too, and a stream that does not say so is left.
_STREAM_END_S = 3.0
# How long the end of a log is tried for when its node does not give it, and when nobody answers at all.
_PATIENCE_S, _AWAY_S = 30.0, 600.0
_FULL = f"\n[mlrun-gitops: the log is longer than {limits.RUN_LOG_BYTES // limits.MIB} MiB; the rest is dropped]\n"
_TORN = "\n[mlrun-gitops: the rest of the log could not be read: {}]\n"


@dataclass
class _Tail:
    """One job's log on its way: `size` and `mark` are what the store has, `data` and `ahead` what is to be written."""

    job: str
    pod: str
    uid: str
    size: int = 0
    mark: Mark = field(default_factory=Mark)
    data: bytes = b""
    ahead: Mark = field(default_factory=Mark)
    stream: Stream | None = None
    thread: threading.Thread | None = None
    ending_at: float | None = None  # monotonic; the pod has ended, and what is left is to be fetched
    fetched_at: float = 0.0
    done: bool = False
    full: bool = False
    torn: bool = False  # somebody else wrote; begin at the store's mark again
    refused: bool = False  # nobody has it any more
    left: bool = False  # nobody wants it any more


class Logs:
    """All logs of a launcher. Any thread may call."""

    def __init__(self, api: Callable[[], Api], store: Store, on_done: Callable[[], None]) -> None:
        """`on_done` hears that the whole of some log is in the store."""
        self._on_done = on_done
        self._api = api
        self._store = store
        self._followers = FOLLOWERS
        self._tails: dict[str, _Tail] = {}
        self._lock = threading.Condition(threading.RLock())
        self._stopping = threading.Event()
        self._fetchers = threading.BoundedSemaphore(_FETCHERS)
        self._writer: threading.Thread | None = None

    def follow(self, job: str, pod: str, uid: str) -> None:
        """The pod runs: its log is followed from where the store's ends, if there is room."""
        with self._lock:
            tail = self._tail(job, uid)
            busy = tail is not None and (
                tail.thread is not None or tail.ending_at is not None or tail.done or tail.refused
            )
            if busy or self._stopping.is_set() or self._running() >= self._followers:
                return
            self._start(tail or _Tail(job, pod, uid), self._follow)

    def fetch(self, job: str, pod: str, uid: str) -> None:
        """Somebody reads the log of a running pod that is not followed."""
        with self._lock:
            tail = self._tail(job, uid)
            fresh = tail is None or (tail.thread is None and time.monotonic() > tail.fetched_at + 2 * _PAUSE_S)
            if fresh and not self._stopping.is_set():
                self._start(tail or _Tail(job, pod, uid), self._fetch)

    def finish(self, job: str, pod: str | None, uid: str) -> bool:
        """The pod has ended (None: and is gone): whether all that there is of its log is in the store. Asked until it is."""
        with self._lock:
            tail = self._tail(job, uid)
            if tail is None:
                if pod is None or self._stopping.is_set():
                    return True
                tail = self._tails[job] = _Tail(job, pod, uid)
            if tail.ending_at is None:
                tail.ending_at = time.monotonic()
                self._lock.notify_all()
            if tail.thread is None and not tail.done:
                self._start(tail, self._fetch)
            late = time.monotonic() > tail.ending_at + _STREAM_END_S
            if late and tail.stream is not None:
                tail.stream.stop()
            return tail.done and not tail.data

    def forget(self, job: str) -> None:
        """Nobody asks for it any more: whoever reads it still stops. What is not in the store yet can be read again."""
        with self._lock:
            if (tail := self._tails.pop(job, None)) is None:
                return
            tail.left = True
            if tail.stream is not None:
                tail.stream.stop()
            self._lock.notify_all()

    def forget_others(self, wanted: Collection[str]) -> None:
        """Those that another service saw to their ends."""
        with self._lock:
            others = [job for job in self._tails if job not in wanted]
        for job in others:
            self.forget(job)

    def close(self) -> None:
        """What was read is written."""
        self._stopping.set()
        with self._lock:
            self._lock.notify_all()
            tails = list(self._tails.values())
        for tail in tails:
            if (stream := tail.stream) is not None:
                stream.stop()
        if self._writer is not None:
            self._writer.join(timeout=5)

    def _tail(self, job: str, uid: str) -> _Tail | None:
        """Of this pod, or of any where that is not known; an earlier pod of the job has printed its last."""
        tail = self._tails.get(job)
        if tail is not None and uid not in ("", tail.uid):
            self.forget(job)
            return None
        return tail

    def _unwanted(self, tail: _Tail) -> bool:
        return tail.left or self._stopping.is_set()

    def _running(self) -> int:
        return sum(tail.thread is not None for tail in self._tails.values())

    def _start(self, tail: _Tail, what: Callable[[_Tail], None]) -> None:
        self._tails[tail.job] = tail
        tail.thread = threading.Thread(target=self._do, args=(what, tail), name="kubernetes-log", daemon=True)
        tail.thread.start()
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_on, name="kubernetes-logs", daemon=True)
            self._writer.start()

    def _do(self, what: Callable[[_Tail], None], tail: _Tail) -> None:
        try:
            what(tail)
        except Exception:
            log.exception("reading a log met a bug", job=tail.job)
            tail.done = True
        finally:
            with self._lock:
                tail.thread = None
                self._lock.notify_all()  # of what is done the rest is written at once
            if tail.done and not tail.data:
                self._on_done()

    def _follow(self, tail: _Tail) -> None:
        while not (self._unwanted(tail) or tail.done):
            if tail.ending_at is not None:
                self._fetch(tail)
                return
            try:
                if not tail.full:
                    self._read(tail, follow=True)
            except ClusterRefused:
                tail.refused = True  # nobody has it any more; what is to be made of that is told
                return
            except (ClusterAway, StoreError):
                pass
            with self._lock:
                self._lock.wait_for(lambda: tail.ending_at is not None or self._unwanted(tail), _PAUSE_S)

    def _fetch(self, tail: _Tail) -> None:
        """All that there is now; when the pod has ended, that is all there will be."""
        with self._fetchers:
            while not self._unwanted(tail):
                ending_at = tail.ending_at
                tail.fetched_at = time.monotonic()
                try:
                    self._read(tail, follow=False)
                    tail.done = ending_at is not None and not tail.torn
                except ClusterRefused:
                    tail.done = ending_at is not None  # it never began, or nobody has it any more
                except (ClusterAway, StoreError) as error:
                    answered = isinstance(error, ClusterAway) and error.answer
                    patience_s = _PATIENCE_S if answered else _AWAY_S
                    if ending_at is not None and time.monotonic() > ending_at + patience_s:
                        self._collect(tail, _TORN.format(error.what).encode(), tail.ahead)
                        tail.done = True
                if tail.done or ending_at is None:
                    return
                self._stopping.wait(_PAUSE_S)

    def _read(self, tail: _Tail, *, follow: bool) -> None:
        self._begin(tail)
        reader = Reader(tail.mark)
        query = {"timestamps": "true", "follow": str(follow).lower()}
        if (since := tail.mark.since) is not None:
            query["sinceTime"] = since
        with self._api().log(tail.pod, patience_s=_SILENCE_S if follow else 15.0, **query) as stream:
            tail.stream = stream
            try:
                for piece in stream.pieces() if not self._unwanted(tail) else ():
                    self._collect(tail, reader.feed(piece), reader.mark)
                    if tail.torn or tail.full or self._unwanted(tail):
                        return
            finally:
                tail.stream = None
        if not follow:
            self._collect(tail, reader.end(), reader.mark)

    def _begin(self, tail: _Tail) -> None:
        """From where the store's log ends, when all that was collected is there."""
        with self._lock:
            self._lock.wait_for(lambda: not tail.data or self._unwanted(tail))
        with self._store.read() as connection:
            row = jobs.find(connection, tail.job)
        if row is not None:
            tail.size, tail.mark = row.log_size, Mark.read(row.log_mark, tail.uid)
            tail.full = row.log_size >= limits.RUN_LOG_BYTES
        tail.ahead, tail.torn = tail.mark, False

    def _collect(self, tail: _Tail, new: bytes, mark: Mark) -> None:
        if not new or tail.full:
            return
        with self._lock:
            if tail.torn:
                return
            room = limits.RUN_LOG_BYTES - tail.size - len(tail.data)
            if len(new) > room:
                new, tail.full = new[: max(0, room)] + _FULL.encode(), True
            tail.data += new
            tail.ahead = mark
            if len(tail.data) >= _PIECE:
                self._lock.notify_all()
            # A pod that prints faster than the store writes waits for it.
            self._lock.wait_for(lambda: len(tail.data) < 4 * _PIECE or self._unwanted(tail))

    def _write_on(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                self._lock.wait_for(lambda: self._stopping.is_set() or self._much(), _FLUSH_S)
            try:
                self._write()
            except Exception:  # without this thread no log would have an end, and no job either
                log.exception("writing logs met a bug")
                self._stopping.wait(_FLUSH_S)
        self._write()

    def _much(self) -> bool:
        """Or the last of a log, for which somebody waits."""
        return any(
            len(tail.data) >= _PIECE or (tail.ending_at is not None and tail.data) for tail in self._tails.values()
        )

    def _write(self) -> None:
        with self._lock:
            parts = [(tail, tail.size, tail.data, str(tail.ahead)) for tail in self._tails.values() if tail.data]
        if not parts:
            return
        try:
            sizes = self._store.write(
                lambda connection: [
                    jobs.add_log(connection, tail.job, size, data, mark) for tail, size, data, mark in parts
                ]
            )
        except StoreError as error:
            log.warning("logs of pods could not be written; they are kept and tried again", error=str(error))
            self._stopping.wait(_FLUSH_S)
            return
        with self._lock:
            for (tail, size, data, _), now in zip(parts, sizes, strict=True):
                tail.torn = tail.torn or now != size + len(data)
                tail.size, tail.data = now, b"" if tail.torn else tail.data[len(data) :]
            self._lock.notify_all()
        if any(tail.done for tail, *_ in parts):
            self._on_done()
