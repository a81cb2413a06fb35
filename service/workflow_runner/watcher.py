"""What a job's events tell of its steps, and what the steps came to."""

from __future__ import annotations

from typing import Optional

from .errors import ForkedError, describe
from .events import Events
from .job import Job
from .plain import Json


class Watcher:
    """Turns what RunnerDB is told into events, and remembers what the steps came to."""

    def __init__(self, events: Events, job: Job) -> None:
        self.results: dict[str, Json] = {}
        self.failed: list[Json] = []
        self.launching = 0  # steps that MLRun is busy with; what they came to is known when it returns
        self._events = events
        self._job = job
        self._error: Optional[Json] = None
        self._names: dict[str, tuple[str, str]] = {}
        self._ended: set[str] = set()
        self._warned: set[str] = set()

    def started(self) -> None:
        self._events.emit("started")

    def step_started(self, uid: str, run: Json) -> None:
        name = run.get("metadata", {}).get("name") or uid
        count = sum(1 for other, _ in self._names.values() if other == name) + 1
        self._names[uid] = (name, name if count == 1 else f"{name}-{count}")
        self._error = None
        self._events.emit("step.started", step=self._names[uid][1], uid=uid)

    def step_finished(self, uid: str, run: Json) -> None:
        completed = run.get("status", {}).get("state") == "completed"
        if uid in self._ended or uid not in self._names or (completed and self.launching):
            return
        self._ended.add(uid)
        step = self._names[uid][1]
        status = run.get("status", {})
        results = status.get("results") or {}
        if completed:
            if results:
                self.results[step] = results
            self._events.emit("step.finished", step=step, uid=uid, state="succeeded", results=results)
            return
        message = str(status.get("error") or status.get("status_text") or status.get("state"))
        error = self._error or {"type": "StepFailed", "message": message, "traceback": message}
        self.failed.append(dict(error, step=step))
        self._events.emit("step.finished", step=step, uid=uid, state="failed", results=results, error=error)

    def artifact(self, artifact: Json) -> None:
        metadata, spec = artifact.get("metadata", {}), artifact.get("spec", {})
        producer = (spec.get("producer") or {}).get("uri") or ""
        step = self._names.get(producer.rpartition("/")[2].partition("-")[0], (None, None))[1]
        self._events.emit(
            "artifact",
            key=metadata.get("key"),
            kind=artifact.get("kind") or "artifact",
            path=spec.get("target_path") or "",
            step=step,
        )

    def raised(self, exc: BaseException) -> None:
        self._error = describe(exc, self._job)

    def warn(self, text: str) -> None:
        """Say `text` once."""
        if text not in self._warned:
            self._warned.add(text)
            self._events.emit("warning", text=text)

    def only_parent(self) -> None:
        if not self._events.ours:
            raise ForkedError("a forked child must not run steps; leave it with os._exit")
