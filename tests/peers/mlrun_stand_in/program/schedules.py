"""Schedules: cron as MLRun's scheduler takes it, one a name, fired by hand."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import mlrun.common.schemas

from tests.peers.mlrun_stand_in.program import runs
from tests.peers.mlrun_stand_in.program.state import Call, Raw, State, copied, not_found, now

_APART_M = 10
_DAY_M = 24 * 60
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_NAMES = "mon tue wed thu fri sat sun jan feb mar apr may jun jul aug sep oct nov dec last st nd rd th".split()


def keep(state: State, project: str, name: str, cron: Any, scheduled: dict[str, Any], labels: dict[str, str]) -> None:
    """Store it in place of what has its name; the time of creation stays."""
    trigger = _trigger(cron)
    before = state.schedules.get((project, name))
    state.schedules[project, name] = copied(
        {
            "name": name,
            "project": project,
            "kind": "job",
            "scheduled_object": scheduled,
            "cron_trigger": trigger.dict(),
            "labels": labels,
            "concurrency_limit": 1,
            "creation_time": before["creation_time"] if before else now(),
            "next_run_time": (datetime.now(timezone.utc) + timedelta(days=1)).isoformat(),
            "state": None,
        }
    )


def listed(state: State, call: Call) -> Any:
    name = call.one("name")
    found = [one for key, one in state.schedules.items() if key[0] == call.project and name in ("", key[1])]
    return {"schedules": found}


def read(state: State, call: Call) -> Any:
    return _of(state, call)


def update(state: State, call: Call) -> Any:
    schedule = _of(state, call)
    if call.body.cron_trigger is not None:
        schedule["cron_trigger"] = copied(_trigger(call.body.cron_trigger).dict())
        if isinstance(call.body.cron_trigger, str) and "schedule" in schedule["scheduled_object"]:
            schedule["scheduled_object"]["schedule"] = call.body.cron_trigger
    if call.body.scheduled_object is not None:
        schedule["scheduled_object"] = copied(call.body.scheduled_object)
    if call.body.labels is not None:
        schedule["labels"] = copied(call.body.labels)
    return Raw(b"")


def delete(state: State, call: Call) -> Any:
    state.schedules.pop((call.project, call.path["name"]), None)
    return Raw(b"")


def invoke(state: State, call: Call) -> Any:
    schedule = _of(state, call)
    task = copied(schedule["scheduled_object"]["task"])
    task["metadata"].setdefault("labels", {})["mlrun/schedule-name"] = schedule["name"]
    run = runs.begin(state, call.project, task)
    schedule["last_run_uri"] = f"{call.project}@{run['metadata']['uid']}#0"
    return {"data": run}


def _of(state: State, call: Call) -> dict[str, Any]:
    key = (call.project, call.path["name"])
    if key not in state.schedules:
        raise not_found(f"Schedule not found: project={key[0]}, name={key[1]}")
    return state.schedules[key]


def _trigger(cron: Any) -> Any:
    """Raises ValueError in the words of MLRun and APScheduler."""
    if not isinstance(cron, str):
        return cron
    trigger = mlrun.common.schemas.ScheduleCronTrigger.from_crontab(cron)
    fields = [set(_values(part, *bounds)) for part, bounds in zip(cron.split(), _RANGES)]
    times = sorted(hour * 60 + minute for hour in fields[1] for minute in fields[0])
    # The last of a day and the first of the next may be days apart; that they are not is the stricter reading.
    if any(after - before < _APART_M for before, after in zip(times, [*times[1:], times[0] + _DAY_M])):
        raise ValueError("Cron trigger too frequent. no more than one job per 10 minutes is allowed")
    return trigger


def _values(field: str, first: int, last: int) -> Any:
    for part in field.split(","):
        found = re.fullmatch(r"(?:(\*)|(\d+)(?:-(\d+))?|([a-z]{2,4})(?:[- ]([a-z]{3}))?)(?:/(\d+))?", part.lower())
        words = [] if found is None else [word for word in (found[4], found[5]) if word]
        if found is None or any(word not in _NAMES for word in words):
            raise ValueError(f'Unrecognized expression "{part}" for field')
        begin, end = (int(found[2]), int(found[3] or found[2])) if found[2] else (first, last)
        if not first <= begin <= end <= last:
            raise ValueError(f"Error validating expression {part!r}: the value is out of range {first}-{last}")
        yield from range(begin, end + 1, int(found[6] or 1))
