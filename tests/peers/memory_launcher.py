"""A launcher that keeps its jobs in memory, so that dozens of scenarios run in seconds. It is honest where it counts.

It starts a job once however often it is told, says `UNKNOWN` of what it never saw and `GONE` of what ended, also after
`clean`, and takes the job's files from the source as every launcher does. A load reads project.yaml instead of running
it; a run does nothing and ends when the test says so, or at once (`runs_end`).
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Connection

from service.errors import LaunchFailed
from service.launchers import EndReason, Job, JobKind, Life, LogChunk, Observation

_LOOK_S = 0.01


@dataclass
class _Kept:
    """One job's memory. An event's position is its number."""

    job: Job | None
    files: dict[str, bytes] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    ended: EndReason | None = None
    detail: str = ""
    result: dict[str, Any] | None = None
    cleaned: bool = False


class MemoryLauncher:
    """`starts` counts how often each job really began; `told` the jobs in the order of their first `ensure`; `prints` is every
    job's log; `looks` counts the calls of `observe`."""

    fingerprint = "memory"
    owner: int | None = None

    def __init__(self, name: str = "process") -> None:
        self.name = name
        self.runs_begin = True
        self.runs_end = True
        self.results: dict[str, Any] = {}
        self.prints = ""
        self.resolved: dict[str, Any] = {}
        self.starts: Counter[str] = Counter()
        self.told: list[Job] = []
        self.refuse: dict[str, Exception] = {}
        self.refused: Counter[str] = Counter()
        self.looks = 0
        self._jobs: dict[str, _Kept] = {}
        self._lock = threading.RLock()
        self._open = threading.Event()
        self._open.set()

    # The protocol.

    def prepare(self) -> None:
        """Nothing is to be installed."""

    def expect(self, connection: Connection, job: Job) -> bool:
        """Nothing is to be noted."""
        return False

    def ensure(self, job: Job, *, is_new: bool = False) -> None:
        self._refuse("ensure")
        with self._lock:
            kept = self._jobs.get(job.id)
            if kept is not None and (kept.events or kept.ended is None):
                return
            with tempfile.TemporaryDirectory() as folder:
                into = Path(folder) / "source"
                job.source(into)
                files = {str(p.relative_to(into)): p.read_bytes() for p in into.rglob("*") if p.is_file()}
            self._jobs[job.id] = _Kept(job, files)
            self.told.append(job)
            self.starts[job.id] += 1
            begins = job.kind is JobKind.LOAD or self.runs_begin
            if begins:
                self._say(job.id, "claimed")
        if job.kind is JobKind.RUN and begins and self.runs_end:
            self.finish(job.id, results=self.results)

    def observe(self, positions: Mapping[str, int], timeout_s: float) -> list[Observation]:
        self._refuse("observe")
        self.looks += 1
        deadline = time.monotonic() + timeout_s
        while True:
            self._load_what_is_open()
            seen = [self._seen(job, position) for job, position in positions.items()]
            news = [one for one in seen if one.events or one.life is Life.GONE]
            if news or time.monotonic() >= deadline:
                return news or seen
            time.sleep(_LOOK_S)

    def result(self, job: str) -> dict[str, Any]:
        with self._lock:
            result = self._jobs[job].result
        assert result is not None
        return result

    def cancel(self, job: str, reason: EndReason = EndReason.CANCELLED) -> None:
        self._refuse("cancel")
        with self._lock:
            kept = self._jobs.setdefault(job, _Kept(None))
            if kept.ended is None:
                kept.ended = reason

    def logs(self, job: str, offset: int = 0) -> LogChunk:
        with self._lock:
            kept = self._jobs.get(job)
        printed = self.prints.encode()
        start = max(0, len(printed) + offset) if offset < 0 else offset
        return LogChunk(
            printed[start:].decode(errors="replace"), len(printed), complete=kept is not None and kept.ended is not None
        )

    def clean(self, job: str) -> None:
        with self._lock:
            if job in self._jobs and self._jobs[job].ended is not None:
                self._jobs[job].cleaned = True

    def close(self) -> None:
        """Jobs run on."""

    # What a test does and sees.

    def finish(self, job: str, state: str = "succeeded", **said: Any) -> None:
        """The runner's last word."""
        with self._lock:
            if self._jobs[job].ended is None:
                self._say(job, "finished", state=state, **said)
                self._jobs[job].ended = EndReason.EXITED

    def loaded(self, job: str, result: dict[str, Any]) -> None:
        """A load ends with this, also while the others wait."""
        with self._lock:
            self._jobs[job].result = result
            self.finish(job)

    def kill(self, job: str, reason: EndReason = EndReason.KILLED, detail: str = "") -> None:
        """What the kernel does when memory is short, or a cluster for reasons of its own."""
        with self._lock:
            self._jobs[job].ended = reason
            self._jobs[job].detail = detail

    def waits(self, job: str, detail: str) -> None:
        """A job that has not begun waits for this."""
        with self._lock:
            self._jobs[job].detail = detail

    def say(self, job: str, event: str, **data: Any) -> None:
        with self._lock:
            self._say(job, event, **data)

    @contextmanager
    def loads_wait(self) -> Iterator[None]:
        """No load ends inside of this."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def alive(self, kind: JobKind) -> list[str]:
        with self._lock:
            return [id_ for id_, kept in self._jobs.items() if kept.job and kept.job.kind is kind and not kept.ended]

    def left(self) -> list[str]:
        """Jobs whose files nobody cleaned up."""
        with self._lock:
            return [id_ for id_, kept in self._jobs.items() if kept.files and not kept.cleaned]

    def files(self, job: str) -> dict[str, bytes]:
        """What lay in the job's folder when it began."""
        return self._jobs[job].files

    # Inside.

    def _refuse(self, verb: str) -> None:
        if (error := self.refuse.get(verb)) is not None:
            self.refused[verb] += 1
            raise error

    def _say(self, job: str, event: str, **data: Any) -> None:
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self._jobs[job].events.append({"event": event, "at": at, **data})

    def _seen(self, job: str, position: int) -> Observation:
        with self._lock:
            kept = self._jobs.get(job)
            if kept is None:
                return Observation(job=job, life=Life.UNKNOWN, position=position)
            events = tuple(kept.events[position:])
            life = Life.GONE if kept.ended else Life.ALIVE if kept.events else Life.STARTING
            return Observation(
                job=job, life=life, position=len(kept.events), events=events, ended=kept.ended, detail=kept.detail
            )

    def _load_what_is_open(self) -> None:
        if not self._open.is_set():
            return
        with self._lock:
            for kept in self._jobs.values():
                if kept.job and kept.job.kind is JobKind.LOAD and kept.ended is None:
                    self._load(kept.job, kept)

    def _load(self, job: Job, kept: _Kept) -> None:
        path = job.payload["project"]["path"]
        prefix = "" if path == "." else f"{path}/"
        document = yaml.safe_load(kept.files.get(f"{prefix}project.yaml", b"{}")) or {}
        spec = document.get("spec", {})
        if "raises" in spec:
            said = {"type": "ValueError", "message": spec["raises"], "traceback": "Traceback of the user"}
            self.finish(job.id, "failed", error=said)
            return
        name = job.payload["project"]["name"]
        kept.result = {
            "name": name,
            "project": {**document, "metadata": {**document.get("metadata", {}), "name": name}},
            "functions": {},
            "workflows": [{**one, "spec": one} for one in spec.get("workflows", [])],
            **self.resolved,
        }
        self.finish(job.id)


def refused(what: str) -> LaunchFailed:
    """What `refuse` may raise."""
    return LaunchFailed(what)
