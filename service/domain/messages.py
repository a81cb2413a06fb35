"""What people are told: title, severity, deduplication key and content of every notification event.

A key says what the message says and holds no time: the same news made twice (a step repeated after a crash) has the
same key and leaves once. Where one thing can happen again (a suspension, a drift), the key takes the identity of the
occurrence: the id of the row that recorded it. Secrets are masked here, before anything is stored or sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.domain.diff import masked, shown
from service.domain.events import Severity, Topic
from service.domain.planned import ScheduleSpec
from service.domain.projects import Json
from service.domain.refs import short
from service.domain.schedules import when
from service.domain.states import RunState
from service.domain.steps import Step, StepState

_KEY_BYTES = 200
_TITLE_CHARACTERS = 300
# Steps that a message lists, the latest; a workflow of more is somebody's loop.
_STEPS = 50
_GOES_WELL = frozenset({Topic.RUN_STARTED, Topic.RUN_PROGRESS, Topic.RUN_SUCCEEDED})

SEVERITIES = {
    **dict.fromkeys(Topic, Severity.INFO),
    Topic.DELIVERY_REJECTED: Severity.WARNING,
    Topic.SYNC_FAILED: Severity.ERROR,
    Topic.CONFIG_ROLLED_BACK: Severity.WARNING,
    Topic.PROJECT_SUSPENDED: Severity.WARNING,
    Topic.RUN_FAILED: Severity.ERROR,
    Topic.RUN_TIMED_OUT: Severity.ERROR,
    Topic.RUN_LOST: Severity.ERROR,
    Topic.RUN_CANCELLED: Severity.WARNING,
    Topic.SCHEDULE_REMOVED: Severity.WARNING,
    Topic.SCHEDULE_MISSED: Severity.WARNING,
    Topic.DRIFT_DETECTED: Severity.WARNING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitFacts:
    sha: str
    author: str | None = None
    subject: str | None = None
    url: str | None = None

    def __str__(self) -> str:
        return f"{self.sha[:12]} {self.subject}" if self.subject else self.sha[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What a message is about. `ref` is the full one; `links` are names and addresses, made by who knows them."""

    project: str | None = None
    repository: str | None = None
    ref: str | None = None
    commit: CommitFacts | None = None
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run, for people. Times are epoch seconds; `error` has type, message, traceback.

    `log_tail` is the end of what it printed, of a run that did not do its work (`log_tail.log_tail` made it fit to be shown).
    """

    id: str
    workflow: str
    state: RunState
    reason: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    results: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    steps: Sequence[Step] = ()
    log_tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A message but for its id and time, which the outbox gives it."""

    topic: Topic
    severity: Severity
    key: str
    title: str
    project: str | None = None
    repository: str | None = None
    ref: str | None = None
    commit: Json | None = None
    run: Json | None = None
    details: Json = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


def of_delivery(where: Where, *, hook: str, reason: str, episode: str = "") -> Content:
    """A rejected delivery. A flood of them is one message: the same hook, reason and `episode`, for which the id of the
    hook's last accepted delivery serves, so that trouble is told again after it was over."""
    title = f"a delivery to {hook} was rejected: {reason}"
    return _content(Topic.DELIVERY_REJECTED, where, f"{hook}/{reason}/{episode}", title, reason=reason, hook=hook)


def of_sync(
    topic: Topic,
    where: Where,
    *,
    sync: str,
    reason: str = "",
    revision: str | None = None,
    error: Mapping[str, Any] | None = None,
) -> Content:
    """`sync.*` and `config.saved`. `error` has code, what, mend, detail."""
    said = {
        Topic.SYNC_STARTED: "sync of {place} began",
        Topic.SYNC_SUCCEEDED: "{place} is in sync" + (": {why}" if reason else ""),
        Topic.SYNC_FAILED: "sync of {place} failed: {why}",
        Topic.SYNC_SUPERSEDED: "sync of {place} was passed over: {why}",
        Topic.CONFIG_SAVED: "the configuration of {place} was saved",
    }[topic]
    why = str(error.get("what", "")) if error else reason
    title = said.format(place=_place(where), why=why or "no reason was given")
    return _content(topic, where, sync, title, reason=reason, sync=sync, revision=revision, error=error)


def of_run(topic: Topic, where: Where, run: RunFacts) -> Content:
    """`run.*`. Progress is told once for each count of steps that began and ended."""
    verb = {
        Topic.RUN_QUEUED: "is queued",
        Topic.RUN_STARTED: "started",
        Topic.RUN_PROGRESS: f"goes on: {_progress(run.steps)}",
        Topic.RUN_SUCCEEDED: "succeeded",
        Topic.RUN_FAILED: "failed",
        Topic.RUN_TIMED_OUT: "took too long and was ended",
        Topic.RUN_LOST: "was lost",
        Topic.RUN_CANCELLED: "was cancelled",
    }[topic]
    message = str(run.error.get("message", "")) if run.error else ""
    why = (message or run.reason) if topic not in _GOES_WELL else ""
    title = f"{run.workflow} of {_place(where)} {verb}" + (f": {why}" if why else "")
    identity = f"{run.id}/{_count(run.steps)}" if topic is Topic.RUN_PROGRESS else run.id
    return _content(topic, where, identity, title, run=_run(run), reason=run.reason)


def of_schedule(
    topic: Topic,
    where: Where,
    *,
    name: str,
    occurrence: str,
    before: ScheduleSpec | None = None,
    after: ScheduleSpec | None = None,
    reason: str = "",
) -> Content:
    """`schedule.created`, `.changed`, `.removed`; `occurrence` is the sync (or request) that did it."""
    verb = topic.removeprefix("schedule.")
    times = [when(spec) for spec in (before, after) if spec is not None]
    title = f"schedule {name} of {_place(where)} was {verb}: {' → '.join(dict.fromkeys(times)) or reason}"
    return _content(
        topic, where, f"{where.project}/{name}/{occurrence}", title,
        reason=reason, schedule=name, before=_spec(before), after=_spec(after),
    )  # fmt: skip


def of_missed(where: Where, *, name: str, schedule: str, due: Sequence[str]) -> Content:
    """Due times that nobody fired, as text, oldest first. They are in the key as a digest: they are what is told."""
    count = f"{len(due)} times, from {due[0]} to {due[-1]}" if len(due) > 1 else f"at {due[0]}"
    title = f"schedule {name} of {_place(where)} was missed {count}"
    return _content(
        Topic.SCHEDULE_MISSED,
        where,
        f"{schedule}/{_digest(*due)}",
        title,
        schedule=name,
        due=list(due[-20:]),
        count=len(due),
    )


def of_project(topic: Topic, where: Where, *, occurrence: str, reason: str = "", actor: str | None = None) -> Content:
    """`config.rolled-back`, `project.suspended`; `occurrence` is the id of the audit entry."""
    verb = {Topic.CONFIG_ROLLED_BACK: "was rolled back", Topic.PROJECT_SUSPENDED: "was suspended"}[topic]
    by = f" by {actor}" if actor else ""
    title = f"{_place(where)} {verb}{by}" + (f": {reason}" if reason else "")
    return _content(topic, where, f"{where.project}/{occurrence}", title, reason=reason, actor=actor)


def of_drift(topic: Topic, where: Where, *, occurrence: str, paths: Sequence[str]) -> Content:
    """`drift.detected`, `drift.healed`; `paths` say what differs from the revision in force."""
    verb = {Topic.DRIFT_DETECTED: "has drifted from Git", Topic.DRIFT_HEALED: "is as in Git again"}[topic]
    title = f"{_place(where)} {verb}: {', '.join(paths[:3])}" + (
        f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    )
    return _content(topic, where, f"{where.project}/{occurrence}/{_digest(*paths)}", title, paths=list(paths[:50]))


def of_preview(where: Where, *, lines: Sequence[str]) -> Content:
    """`preview.ready`: the plan of a commit that is not in force, as its rendered lines."""
    sha = where.commit.sha if where.commit else ""
    title = f"the plan for {_place(where)} is ready"
    return _content(Topic.PREVIEW_READY, where, f"{where.project}/{sha}/{_digest(*lines)}", title, plan=list(lines))


def _content(
    topic: Topic, where: Where, identity: str, title: str, *, run: Json | None = None, **details: Any
) -> Content:
    commit = where.commit
    return Content(
        topic=topic,
        severity=SEVERITIES[topic],
        key=_key(topic, identity),
        title=_one_line(masked(title)),
        project=where.project,
        repository=where.repository,
        ref=where.ref,
        commit={"sha": commit.sha, "author": commit.author, "subject": commit.subject, "url": commit.url}
        if commit
        else None,
        run=run,
        details={name: masked(value, name) for name, value in details.items() if value not in (None, "", [], {})},
        links=dict(where.links),
    )


def _key(topic: Topic, identity: str) -> str:
    key = f"{topic}/{identity}"
    return key if len(key.encode()) <= _KEY_BYTES else f"{topic}/{_digest(identity)}"


def _place(where: Where) -> str:
    name = where.project or where.repository or "the service"
    at = f" ({short(where.ref)})" if where.ref else ""
    return f"{name}{at}" + (f" at {where.commit}" if where.commit else "")


def _run(run: RunFacts) -> Json:
    ended = run.started_at is not None and run.ended_at is not None
    return {
        "id": run.id,
        "workflow": run.workflow,
        "state": run.state.value,
        "reason": masked(run.reason),
        "duration_s": round(run.ended_at - run.started_at, 3) if ended and run.ended_at and run.started_at else None,
        "results": {name: shown(masked(value, name)) for name, value in (run.results or {}).items()},
        "error": masked(dict(run.error)) if run.error else None,
        "steps": [
            {"name": step.name, "state": step.state.value, "duration_s": step.duration_s}
            for step in run.steps[-_STEPS:]
        ],
        "steps_left_out": max(0, len(run.steps) - _STEPS),
        "log_tail": run.log_tail,
    }


def _count(steps: Sequence[Step]) -> str:
    """How many began and how many of these ended."""
    return f"{len(steps)}-{sum(step.state is not StepState.RUNNING for step in steps)}"


def _progress(steps: Sequence[Step]) -> str:
    """`2 steps done, train runs`."""
    running = [step.name for step in steps if step.state is StepState.RUNNING]
    done = len(steps) - len(running)
    counted = [f"{done} step{'s' if done > 1 else ''} done"] if done else []
    return ", ".join(counted + [f"{name} runs" for name in running[-3:]]) or "no step yet"


def _spec(spec: ScheduleSpec | None) -> Json | None:
    return (
        {"workflow": spec.workflow, "cron": spec.cron, "timezone": spec.timezone, "arguments": dict(spec.arguments)}
        if spec
        else None
    )


def _one_line(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _TITLE_CHARACTERS else plain[: _TITLE_CHARACTERS - 1] + "…"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
