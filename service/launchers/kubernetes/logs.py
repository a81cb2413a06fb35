"""What pods print, followed while they run and kept in the store after them.

A running pod costs one silent connection and a thread that sleeps on it, up to a number; beyond it a log is fetched when somebody reads it,
and at the end. Whoever reads only collects: `log_writer` writes for all of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog

from service.errors import ClusterAway, ClusterRefused, StoreError
from service.launchers.kubernetes.api import Api, Stream
from service.launchers.kubernetes.log_writer import LogWriter, Part
from service.launchers.kubernetes.mark import Mark, Reader
from service.launchers.kubernetes.view import View
from service.store import Store

log = structlog.get_logger(__name__)

FOLLOWERS = 100
_FETCHERS = 4
# Those of nodes that did not answer the last time have places of their own, so that the others wait for no such node.
_DOUBTFUL = 2
# A workflow may be silent for hours; a connection that nobody holds any more is found by this.
_SILENCE_S = 600.0
_FETCH_S = 15.0
# One turn at most; who has more to read takes another.
_TURN_S = 60.0
_PAUSE_S = 1.0
# When the pod has ended its log does too, and a stream that does not say so, or has not begun, is left.
_STREAM_END_S = 3.0
# How long the end of a log is tried for when its node does not give it, and when the cluster is away.
_PATIENCE_S, _AWAY_S = 30.0, 600.0
_TORN = "\n[mlrun-gitops: the rest of the log could not be read: {}]\n"


@dataclass(eq=False)
class _Tail:
    """One pod's log on its way. Times are monotonic: `ending_at` when the pod was seen to have ended, `silent_at` since when its node
    does not give its end."""

    pod: str
    uid: str
    part: Part
    stream: Stream | None = None
    thread: threading.Thread | None = None
    ending_at: float | None = None
    silent_at: float | None = None
    fetched_at: float = 0.0
    follows: bool = False  # the stream, or the answer that is waited for, goes on as long as the pod
    done: bool = False  # all there is was read
    refused: bool = False  # nobody has it any more
    left: bool = False  # nobody wants it any more


class Logs:
    """All logs of a launcher. Any thread may call. `view` is woken when the end of some log may be in the store."""

    def __init__(self, api: Callable[[], Api], store: Store, view: View) -> None:
        self._api = api
        self._view = view
        self._writer = LogWriter(store, self._written)
        self._followers = FOLLOWERS
        self._tails: dict[str, _Tail] = {}
        self._lock = threading.Condition(threading.RLock())
        self._stopping = threading.Event()
        self._fetchers = threading.BoundedSemaphore(_FETCHERS)
        self._doubtful = threading.BoundedSemaphore(_DOUBTFUL)

    def follow(self, job: str, pod: str, uid: str) -> None:
        """The pod runs: its log is followed from where the store's ends, if there is room."""
        with self._lock:
            tail = self._tail(job, uid)
            busy = tail is not None and (
                tail.thread is not None or tail.ending_at is not None or tail.done or tail.refused
            )
            running = sum(tail.thread is not None for tail in self._tails.values())
            if not busy and running < self._followers:
                self._start(job, tail or _Tail(pod, uid, Part(job)), self._follow)

    def fetch(self, job: str, pod: str, uid: str) -> None:
        """Somebody reads the log of a running pod that is not followed."""
        with self._lock:
            tail = self._tail(job, uid)
            if tail is None or (tail.thread is None and time.monotonic() > tail.fetched_at + 2 * _PAUSE_S):
                self._start(job, tail or _Tail(pod, uid, Part(job)), self._fetch)

    def finish(self, job: str, pod: str | None, uid: str) -> bool:
        """The pod has ended (None: and is gone): whether all that there is of its log is in the store. Asked until it is."""
        with self._lock:
            tail = self._tail(job, uid)
            if tail is None:
                if pod is None or self._stopping.is_set():
                    return True
                tail = self._tails[job] = _Tail(pod, uid, Part(job))
            if tail.ending_at is None:
                tail.ending_at = time.monotonic()
                self._lock.notify_all()
            if tail.follows and time.monotonic() > tail.ending_at + _STREAM_END_S:
                if tail.stream is not None:
                    tail.stream.stop()
                else:  # its node has not even begun to answer, and nothing ends the waiting for that
                    self.forget(job)
                    tail = _Tail(tail.pod, tail.uid, Part(job), ending_at=tail.ending_at)
            if tail.thread is None and not tail.done:
                self._start(job, tail, self._fetch)
            self._writer.hurry(tail.part)
            return tail.done and not tail.part.data

    def give_up(self, job: str) -> bool:
        """Nobody gives any more of it: whether what there is of it is in the store. Asked until it is."""
        with self._lock:
            if (tail := self._tails.get(job)) is None:
                return True
            tail.done = True
            if tail.stream is not None:
                tail.stream.stop()
            self._lock.notify_all()
            self._writer.hurry(tail.part)
            return not tail.part.data

    def forget(self, job: str) -> None:
        """Nobody asks for it any more: whoever reads it still stops. What is not in the store yet can be read again."""
        with self._lock:
            if (tail := self._tails.pop(job, None)) is None:
                return
            tail.left = True
            self._writer.drop(tail.part)
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
            streams = [tail.stream for tail in self._tails.values()]
        for stream in streams:
            if stream is not None:
                stream.stop()
        self._writer.close()

    def _tail(self, job: str, uid: str) -> _Tail | None:
        """Of this pod, or of any where that is not known; an earlier pod of the job has printed its last."""
        tail = self._tails.get(job)
        if tail is not None and uid not in ("", tail.uid):
            self.forget(job)
            return None
        return tail

    def _unwanted(self, tail: _Tail) -> bool:
        return tail.left or self._stopping.is_set()

    def _start(self, job: str, tail: _Tail, what: Callable[[_Tail], None]) -> None:
        if self._stopping.is_set():
            return
        self._tails[job] = tail
        tail.thread = threading.Thread(target=self._do, args=(what, tail), name="kubernetes-log", daemon=True)
        tail.thread.start()

    def _do(self, what: Callable[[_Tail], None], tail: _Tail) -> None:
        try:
            what(tail)
        except Exception:  # whatever it was: a job whose log never ends would never end
            log.exception("reading a log met a bug", job=tail.part.job)
            tail.done = True
        with self._lock:
            tail.thread = None
        if tail.done:
            self._view.wake()

    def _written(self) -> None:
        with self._lock:
            ended = any(tail.done for tail in self._tails.values())
        if ended:
            self._view.wake()

    def _follow(self, tail: _Tail) -> None:
        while not (self._unwanted(tail) or tail.done):
            if tail.ending_at is not None:
                self._fetch(tail)
                return
            try:
                if not tail.part.full:
                    self._read(tail, follow=True)
            except ClusterRefused:
                tail.refused = True
                return  # nobody has it any more; what is to be made of that is told
            except (ClusterAway, StoreError):
                pass
            with self._lock:
                self._lock.wait_for(lambda: tail.ending_at is not None or self._unwanted(tail), _PAUSE_S)

    def _fetch(self, tail: _Tail) -> None:
        """All that there is now; when the pod has ended, that is all there will be."""
        while not (self._unwanted(tail) or tail.done):
            ending_at = tail.ending_at
            with self._fetchers if tail.silent_at is None else self._doubtful:
                tail.fetched_at = time.monotonic()
                if self._try(tail, ending_at) and ending_at is not None:
                    tail.done = True
            if ending_at is None:
                return
            if not tail.done:
                self._stopping.wait(_PAUSE_S)

    def _try(self, tail: _Tail, ending_at: float | None) -> bool:
        """Whether nothing more is to be had."""
        try:
            whole = self._read(tail, follow=False)
            tail.silent_at = None
            if whole:
                return True
            why = "it came too slowly"
        except ClusterRefused:
            return True  # it never began, or nobody has it any more
        except (ClusterAway, StoreError) as error:
            why = error.what
            if not isinstance(error, ClusterAway) or (not error.answer and self._view.trouble()):
                tail.silent_at = None  # nobody answers us at all, or it is our own store
            elif tail.silent_at is None:
                tail.silent_at = time.monotonic()
        if ending_at is None:
            return False
        until = ending_at + _AWAY_S if tail.silent_at is None else max(ending_at, tail.silent_at) + _PATIENCE_S
        if time.monotonic() < until:
            return False
        self._writer.add(tail.part, _TORN.format(why).encode(), tail.part.mark)
        return True

    def _read(self, tail: _Tail, *, follow: bool) -> bool:
        """Whether it was read to its end."""
        mark = Mark.read(self._writer.begin(tail.part), tail.uid)
        reader = Reader(mark)
        query = {"timestamps": "true", "follow": str(follow).lower()}
        if (since := mark.since) is not None:
            query["sinceTime"] = since
        until = float("inf") if follow else time.monotonic() + _TURN_S
        tail.follows = follow
        try:
            with self._api().log(tail.pod, patience_s=_SILENCE_S if follow else _FETCH_S, **query) as stream:
                tail.stream = stream
                for piece in stream.pieces() if not self._unwanted(tail) else ():
                    self._writer.add(tail.part, reader.feed(piece), str(reader.mark))
                    if tail.part.full:
                        return True
                    if tail.part.torn or self._unwanted(tail) or time.monotonic() > until:
                        return False
        finally:
            tail.stream, tail.follows = None, False
        if not follow:
            self._writer.add(tail.part, reader.end(), str(reader.mark))
        return not tail.part.torn
