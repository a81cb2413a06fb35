"""What a good service and good handlers say of each chapter of the demo; tests take it and make it wrong."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

from service.demo.facts import Outcome, State
from service.demo.sample import ARTIFACTS, MOVED_TO, NAME_ERROR, NIGHTLY, ROUNDS, STEPS, Times

COMMITS = {
    name: str(number) * 40 for number, name in enumerate(("first", "second", "third", "fourth", "older", "newer"))
}
WEDNESDAY = "2030-01-02"


def state(*, revision: str, commit: str, times: Times, due: str, runs: int, error: str | None = None) -> State:
    revisions = ["r1", "r2", "r3"][: int(revision[1])]
    return State(
        project={"in_force": {"revision": revision, "commit": commit}, "error": error},
        revisions=tuple({"id": one, "created_at": one} for one in revisions),
        schedules=({"name": "nightly", "cron": times.cron, "timezone": times.timezone, "next_due": due},),
        runs=tuple({"id": f"run{n}", "workflow": "main", "state": "succeeded", "commit": ""} for n in range(runs)),
    )


def outcome(
    name: str, before: State, after: State, *, rounds: int, auc: float, schedule: str = "keep", told: str, **plan: Any
) -> Outcome:
    """A push that ran."""
    commit = COMMITS[name]
    results = {
        "generate-generate": {"payments": 20000},
        "train-train": {"rounds": rounds},
        "evaluate-evaluate": {"auc": auc, "accepted": auc >= 0.88},
    }
    *old, newest = after.runs
    run = {**newest, "commit": commit, "results": results}
    after = replace(after, runs=(*old, run))
    sync = {
        "id": f"sync-{name}",
        "state": "succeeded",
        "cause": "push",
        "commit": commit,
        "revision": after.in_force[0] if after.in_force else None,
        "superseded_by": None,
        "error": None,
        "created_at": "2030-01-01T12:00:01Z",
        "ended_at": "2030-01-01T12:00:02Z",
        "timings": {"diff": 0.1, "load": 0.5, "plan": 0.1, "apply": 0.2},
        "plan": {"changes": [], "schedules": [{"name": "nightly", "action": schedule}], **plan},
        "runs": [run],
    }
    steps = [
        event(e, step=f"{step}-{step}", state="succeeded") for step in STEPS for e in ("step.started", "step.finished")
    ]
    events = (*steps, *(event("artifact", key=key) for key in ARTIFACTS), event("finished"))
    return Outcome(
        commit=commit,
        pushed_at=1893499200.0,  # 2030-01-01T12:00:00Z
        webhook={"status": 202, "sent_at": 1893499200.2, "took_s": 0.01},
        delivery={"outcome": "synced"},
        sync=sync,
        events=events,
        before=before,
        after=after,
        **messages(told, commit),
    )


def event(name: str, **data: Any) -> dict[str, Any]:
    return {"event": name, "at": "2030-01-01T12:00:03Z", "data": data}


def messages(told: str, commit: str) -> dict[str, Any]:
    return {
        "console": tuple(f"[info] {topic} of {commit[:12]}" for topic in told.split()),
        "heard": tuple({"event": topic, "commit": {"sha": commit}} for topic in told.split()),
    }


NOTHING = State()
FIRST = state(revision="r1", commit=COMMITS["first"], times=NIGHTLY, due=f"{WEDNESDAY}T03:15:00Z", runs=1)
SECOND = state(revision="r2", commit=COMMITS["second"], times=MOVED_TO, due=f"{WEDNESDAY}T04:45:00Z", runs=2)
FOURTH = state(revision="r2", commit=COMMITS["fourth"], times=MOVED_TO, due=f"{WEDNESDAY}T04:45:00Z", runs=3)
LAST = state(revision="r3", commit=COMMITS["newer"], times=MOVED_TO, due=f"{WEDNESDAY}T04:45:00Z", runs=4)


def first() -> Outcome:
    return outcome(
        "first", NOTHING, FIRST, rounds=ROUNDS[0], auc=0.861, schedule="create",
        told="config.saved schedule.created run.succeeded",
    )  # fmt: skip


def second() -> Outcome:
    change = {"path": "project.spec.params.rounds", "action": "change", "before": ROUNDS[0], "after": ROUNDS[1]}
    return outcome(
        "second", FIRST, SECOND, rounds=ROUNDS[1], auc=0.902, schedule="change", changes=[change],
        told="config.saved schedule.changed run.succeeded",
    )  # fmt: skip


def third() -> Outcome:
    good = second()
    error = {
        "what": f"NameError: workflow main: {NAME_ERROR}",
        "detail": f'Traceback (most recent call last):\n  File "workflow.py", line 25, in pipeline\n{NAME_ERROR}',
    }
    after = replace(SECOND, project={**(SECOND.project or {}), "error": error["what"]})
    sync = {**good.sync, "state": "failed", "plan": None, "revision": None, "runs": [], "error": error, "timings": {}}
    told = messages("sync.started sync.failed", COMMITS["third"])
    return replace(
        good,
        commit=COMMITS["third"],
        sync={**sync, "commit": COMMITS["third"]},
        events=(),
        before=SECOND,
        after=after,
        **told,
    )


def fourth() -> Outcome:
    return outcome("fourth", SECOND, FOURTH, rounds=ROUNDS[1], auc=0.902, told="sync.succeeded run.succeeded")


def newer() -> Outcome:
    return outcome("newer", FOURTH, LAST, rounds=ROUNDS[3], auc=0.902, told="config.saved run.succeeded")


def older() -> Outcome:
    good = newer()
    sync = {**good.sync, "state": "superseded", "superseded_by": good.sync["id"], "plan": None, "runs": []}
    told = messages("sync.superseded", COMMITS["older"])
    return replace(good, commit=COMMITS["older"], sync=sync, events=(), delivery={"outcome": "superseded"}, **told)


def wrong(good: Outcome, part: str, *path: str | int, to: Any) -> Outcome:
    """`good`, but with another value at one place of one of its parts."""
    document: Any = {"part": deepcopy(getattr(good, part))}
    here, keys = document, ["part", *path]
    for key in keys[:-1]:
        here = here[key]
    here[keys[-1]] = to
    return replace(good, **{part: document["part"]})
