"""What a run's news make of it, pure: events and life in; state, results and error out.

States: queued → starting (the launcher was told) → running (the runner claimed the run) → an end. Claimed is the line
that matters: before it no user code ran and the job may be started again; after it a job that is gone without
`finished` is lost, because nobody can know what it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from service.domain.events import Topic
from service.domain.projects import Json
from service.domain.states import ENDED_RUNS, RunState
from service.limits import LAUNCH_STARTS

_UNFINISHED_ENDS = {"cancelled": RunState.CANCELLED, "timed-out": RunState.TIMED_OUT}
# What is told of an end.
TOPICS = {
    RunState.SUCCEEDED: Topic.RUN_SUCCEEDED,
    RunState.FAILED: Topic.RUN_FAILED,
    RunState.TIMED_OUT: Topic.RUN_TIMED_OUT,
    RunState.LOST: Topic.RUN_LOST,
    RunState.CANCELLED: Topic.RUN_CANCELLED,
    RunState.SUPERSEDED: Topic.RUN_CANCELLED,
}
# An exit code of the runner: it was given a job that it can't read. Starting it again would not help.
_BAD_JOB = 2


class Seen(Protocol):
    """A launcher's Observation."""

    @property
    def life(self) -> str: ...
    @property
    def position(self) -> int: ...
    @property
    def events(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def ended(self) -> str | None: ...
    @property
    def exit_code(self) -> int | None: ...
    @property
    def detail(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A run as far as it is known. `cancel` is the end that was asked for (`cancelled`, `timed-out`, `superseded`).

    `starts` counts how often the launcher was told to start it. Times are epoch seconds.
    """

    state: RunState
    position: int = 0
    cancel: str | None = None
    starts: int = 1
    reason: str = ""
    results: Json = field(default_factory=dict)
    error: Json | None = None
    started_at: float | None = None
    ended_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where an observation led. `start_again`: the launcher should be told once more."""

    progress: Progress
    start_again: bool = False


def advance(before: Progress, seen: Seen, now: float) -> Step:
    """`before`, moved on by an observation. An ended run moves no more, so that repeating is harmless."""
    if before.state in ENDED_RUNS:
        return Step(progress=before)
    after = replace(before, position=max(before.position, seen.position))
    for event in seen.events:
        after = _apply(after, event, now)
        if after.state in ENDED_RUNS:
            break
    again = False
    if after.state not in ENDED_RUNS and seen.life in ("gone", "unknown"):
        after, again = _gone(after, seen, now)
    elif after.state is RunState.STARTING and seen.detail:
        after = replace(after, reason=seen.detail)
    return Step(progress=after, start_again=again)


def _apply(run: Progress, event: Mapping[str, Any], now: float) -> Progress:
    at = _at(event, now)
    if run.state is not RunState.RUNNING:
        # Whatever it says, the first word of a runner means that the run is claimed.
        run = replace(run, state=RunState.RUNNING, started_at=at, reason="")
    if event.get("event") != "finished":
        return run
    if event.get("state") == "succeeded":
        results = event.get("results")
        return replace(run, state=RunState.SUCCEEDED, results=results if isinstance(results, dict) else {}, ended_at=at)
    error = _error(event.get("error"))
    state = _asked(run.cancel) or RunState.FAILED
    return replace(run, state=state, error=error, reason=error["message"], ended_at=at)


def _gone(run: Progress, seen: Seen, now: float) -> tuple[Progress, bool]:
    """The job is gone and has not said `finished`."""
    ended = run.cancel if run.cancel is not None and seen.ended == "cancelled" else seen.ended
    asked = _asked(ended) or _asked(run.cancel)
    if asked is not None:
        return replace(run, state=asked, reason=_REASONS[asked], ended_at=now), False
    if run.state is RunState.RUNNING:
        reason = _lost(seen)
        error = {"type": _TYPES.get(seen.ended or "", "Lost"), "message": reason}
        return replace(run, state=RunState.LOST, reason=reason, error=error, ended_at=now), False
    if seen.ended in _NEVER:
        reason = seen.detail or _NEVER[seen.ended]
    elif seen.life == "gone" and (seen.exit_code == _BAD_JOB or run.starts >= LAUNCH_STARTS):
        times = "once" if run.starts == 1 else f"{run.starts} times"
        why = f": {seen.detail}" if seen.detail else f"{_with_code(seen)}; its log says why"
        reason = f"the runner ended before it began the run, {times}{why}"
    else:
        why = f" ({seen.detail})" if seen.detail else ""
        return replace(run, state=RunState.STARTING, reason=f"ended before it began{why}; started again"), True
    error = {"type": _TYPES.get(seen.ended or "", "NotStarted"), "message": reason}
    return replace(run, state=RunState.FAILED, reason=reason, error=error, ended_at=now), False


# Ends before the claim that another start would only repeat, where the launcher says no more of them.
_NEVER = {"incompatible": "the image lacks what the runner needs", "not-started": "it was not started in time"}
# Types of errors, for those who sort by them; other ends are `Lost` or `NotStarted`.
_TYPES = {
    "out-of-memory": "OutOfMemory",
    "evicted": "Evicted",
    "node-lost": "NodeLost",
    "deleted": "Deleted",
    "incompatible": "RunnerIncompatible",
}

_REASONS = {
    RunState.CANCELLED: "cancelled",
    RunState.TIMED_OUT: "it took longer than its timeout",
    RunState.SUPERSEDED: "a newer run took its place",
}


def _asked(end: str | None) -> RunState | None:
    return {**_UNFINISHED_ENDS, "superseded": RunState.SUPERSEDED}.get(end or "")


def _lost(seen: Seen) -> str:
    if seen.life == "unknown":
        return "nothing of the run is left where it ran, and it had not finished"
    how = "was killed" if seen.ended == "killed" else "ended"
    what = seen.detail or f"the runner {how} in the middle of the run{_with_code(seen)}"
    return f"{what}; what the workflow did is not known"


def _with_code(seen: Seen) -> str:
    return f" (exit code {seen.exit_code})" if seen.exit_code is not None else ""


def _error(said: Any) -> Json:
    """The runner's error as type, message, traceback (text), and step where it has one."""
    given = said if isinstance(said, dict) else {"message": said}
    error = {key: str(given[key]) for key in ("type", "message", "traceback", "step") if given.get(key)}
    return {"type": "Error", "message": "the workflow failed and gave no reason"} | error


def _at(event: Mapping[str, Any], now: float) -> float:
    """The event's own time; `now` where it has none that is one."""
    try:
        moment = datetime.fromisoformat(str(event.get("at")))
        return moment.timestamp() if moment.tzinfo else now
    except (ValueError, OverflowError):
        return now
