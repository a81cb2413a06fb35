"""What a run in MLRun's database tells: the runner of a workflow, and the steps that it started, as events of ours. Pure.

The events are those of the workflow runner (docs/reference/runner.md), so that whoever reads them need not know who ran. Each is said
once: what was said is read from the events themselves, also by a service that has just begun.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from service.domain.projects import Json
from service.domain.steps import FINISHED, STARTED

# MLRun's words for the states of a run, mlrun/common/runtimes/constants.py.
_COMPLETED, _ERROR, _ABORTED, _ABORTING = "completed", "error", "aborted", "aborting"
_WAITING = frozenset({"created", "pending", "pendingretry", "imagepullbackoff", ""})
# The runner says by an error of this text only that something else failed.
_SAYS_NOTHING = ("RuntimeError: Workflow", "Workflow")


class Stage(StrEnum):
    WAITING = "waiting"  # no code of the user's has run
    RUNNING = "running"
    ABORTED = "aborted"
    COMPLETED = "completed"
    FAILED = "failed"


ENDED = frozenset({Stage.ABORTED, Stage.COMPLETED, Stage.FAILED})


@dataclass(slots=True)
class Said:
    """What a run's events have said: whether it began and has finished, and of which steps; `names` are those of steps by uid. `count`
    is how many there are."""

    count: int = 0
    begun: bool = False
    finished: bool = False
    names: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def hear(self, event: Mapping[str, Any]) -> None:
        kind, uid = event.get("event"), str(event.get("uid", ""))
        self.count += 1
        self.begun = True
        self.finished |= kind == "finished"
        if kind == STARTED:
            self.names[uid] = str(event.get("step"))
        elif kind == FINISHED:
            self.ended.add(uid)


def stage(run: Json) -> Stage:
    state = str(_status(run).get("state") or "").lower()
    if state == _COMPLETED:
        return Stage.COMPLETED
    if state == _ERROR:
        return Stage.FAILED
    if state == _ABORTED:
        return Stage.ABORTED
    return Stage.WAITING if state in _WAITING else Stage.RUNNING


def workflow_id(run: Json) -> str:
    """By which its steps are known; empty while it has not said so."""
    results = _status(run).get("results")
    return str(results.get("workflow_id") or "") if isinstance(results, dict) else ""


def waits(run: Json) -> str:
    """What a run that has not begun waits for, in words for people."""
    status = _status(run)
    why = status.get("status_text") or status.get("reason")
    return f"MLRun's run is {status.get('state') or 'created'}{f': {why}' if why else ''}"


def begin(uid: str, at: str) -> Json:
    """The first event: from here on it is not started again."""
    return {"event": "claimed", "at": at, "uid": uid, "by": "mlrun"}


def news(run: Json, steps: Iterable[Json], said: Said, now: datetime) -> list[Json]:
    """Events that were not said yet, in order, without the run's end. `now` is the time of what has none."""
    found: list[Json] = []
    if not said.begun and stage(run) is not Stage.WAITING:
        at = _time(run, "start_time", now)
        found += [begin(uid_of(run), at), {"event": "started", "at": at}]
    names = dict(said.names)
    for step in sorted(steps, key=lambda one: str(_status(one).get("start_time") or "")):
        found += _of_step(step, names, said, now)
    return found


def finish(run: Json, steps: Sequence[Json], said: Said, now: datetime) -> Json:
    """The last event of a run that completed or failed, when all its other news were said."""
    at = _time(run, "last_update", now)
    results = {
        said.names.get(uid_of(step), _name(step)): _results(step)
        for step in steps
        if _status(step).get("state") == _COMPLETED and _results(step)
    }
    if stage(run) is Stage.COMPLETED:
        return {"event": "finished", "at": at, "state": "succeeded", "results": results}
    return {"event": "finished", "at": at, "state": "failed", "results": results, "error": _error(run, steps, said)}


def _of_step(step: Json, names: dict[str, str], said: Said, now: datetime) -> Iterable[Json]:
    """`names` learns the step's own."""
    uid = uid_of(step)
    if uid not in names:
        names[uid] = _distinct(_name(step), names.values())
        yield {"event": STARTED, "at": _time(step, "start_time", now), "step": names[uid], "uid": uid}
    if uid not in said.ended and stage(step) in ENDED:
        at = _time(step, "last_update", now)
        ended: Json = {"event": FINISHED, "at": at, "step": names[uid], "uid": uid, "results": _results(step)}
        good = stage(step) is Stage.COMPLETED
        yield {**ended, "state": "succeeded"} if good else {**ended, "state": "failed", "error": _error_of(step)}


def _distinct(name: str, names: Collection[str]) -> str:
    """As the workflow runner counts steps of one name."""
    number = 1
    while (found := name if number == 1 else f"{name}-{number}") in names:
        number += 1
    return found


def _time(run: Json, key: str, now: datetime) -> str:
    """As RFC 3339; MLRun writes UTC, with and without saying so."""
    try:
        moment = datetime.fromisoformat(str(_status(run).get(key)))
    except ValueError:
        moment = now
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _error(run: Json, steps: Sequence[Json], said: Said) -> Json:
    """The runner's own, or where it only says that its workflow failed, that of the step which did."""
    own = _error_of(run)
    failed = next((step for step in steps if stage(step) is Stage.FAILED), None)
    if failed is None or not str(own["message"]).startswith(_SAYS_NOTHING):
        return own
    return {**_error_of(failed), "step": said.names.get(uid_of(failed), _name(failed))}


def _error_of(run: Json) -> Json:
    status = _status(run)
    text = str(status.get("error") or status.get("status_text") or status.get("reason") or status.get("state")).strip()
    return {"type": "WorkflowFailed", "message": text.partition("\n")[0], "traceback": text}


def _results(run: Json) -> Json:
    found = _status(run).get("results")
    return found if isinstance(found, dict) else {}


def _status(run: Json) -> Json:
    found = run.get("status")
    return found if isinstance(found, dict) else {}


def _metadata(run: Json) -> Json:
    found = run.get("metadata")
    return found if isinstance(found, dict) else {}


def uid_of(run: Json) -> str:
    return str(_metadata(run).get("uid") or "")


def _name(run: Json) -> str:
    return str(_metadata(run).get("name") or uid_of(run))
