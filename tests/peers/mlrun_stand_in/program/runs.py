"""Runs and their logs. There are no pods: a run is `created`, is `running` when somebody has looked, and ends when a test says so."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import mlrun.utils
from mlrun.common.runtimes.constants import RunStates

from tests.peers.mlrun_stand_in.program.state import Call, Raw, State, copied, not_found, now, page


def begin(state: State, project: str, task: dict[str, Any]) -> dict[str, Any]:
    """A new run of a task, as it is stored when its pod was asked for."""
    uid = uuid.uuid4().hex
    run = copied(task)
    run["metadata"].update(uid=uid, project=project, iteration=0)
    run["status"] = {"state": RunStates.created, "start_time": now(), "last_update": now(), "results": {}}
    state.runs[project, uid, 0] = run
    return dict(run)


def store(state: State, call: Call) -> Any:
    state.has_project(call.project)
    run = copied(call.body)
    run.setdefault("status", {}).setdefault("start_time", now())
    run["status"]["last_update"] = now()
    run.setdefault("metadata", {}).update(uid=call.path["uid"], project=call.project)
    state.runs[call.project, call.path["uid"], _iteration(call)] = run
    return {}


def update(state: State, call: Call) -> Any:
    change(_of(state, call), call.body)
    return {}


def change(run: dict[str, Any], updates: dict[str, Any]) -> None:
    """Dotted keys, as MLRun's `update_in` sets them."""
    for key, value in updates.items():
        mlrun.utils.update_in(run, key, value)
    mlrun.utils.update_in(run, "status.last_update", now())


def read(state: State, call: Call) -> Any:
    return {"data": seen(_of(state, call))}


def seen(run: dict[str, Any]) -> dict[str, Any]:
    """Somebody looks: when they look again, what was to begin has begun, and what was to be aborted is."""
    shown = copied(run)
    follows = {RunStates.created: RunStates.running, RunStates.aborting: RunStates.aborted}
    run["status"]["state"] = follows.get(run["status"].get("state"), run["status"].get("state"))
    return dict(shown)


def listed(state: State, call: Call) -> Any:
    states = [*call.query.get("state", []), *call.query.get("states", [])]
    unknown = set(states) - set(RunStates.all())
    if unknown:
        raise ValueError(f"Invalid run states: {unknown}")
    found = [
        seen(run)
        for (project, uid, iteration), run in state.runs.items()
        if project == call.project
        and (call.flag("iter", "true") or iteration == 0)
        and (not call.query.get("uid") or uid in call.query["uid"])
        and (not states or run["status"].get("state") in states)
        and _named(call.one("name"), run["metadata"].get("name", ""))
        and all(_labelled(label, run["metadata"].get("labels") or {}) for label in call.query.get("label", []))
        and _within(call, run["status"])
    ]
    found.sort(key=lambda run: str(run["status"].get("start_time")), reverse=True)
    return page(state, call, found, "runs")


def abort(state: State, call: Call) -> Any:
    run = _of(state, call)
    if run["status"].get("state") in RunStates.terminal_states():
        return state.task(call.project, "run.abort", "Run is already in terminal state, can not be aborted")
    change(run, {**call.body, "status.state": RunStates.aborting})
    return state.task(call.project, "run.abort")


def end(run: dict[str, Any]) -> None:
    """As when its pod was taken away; what has ended stays as it is."""
    if run["status"].get("state") not in RunStates.terminal_states():
        change(run, {"status.state": RunStates.aborted})


def log(state: State, call: Call) -> Any:
    run = _of(state, call)
    offset, size = int(call.one("offset", "0")), int(call.one("size", "-1"))
    if offset < 0:
        raise ValueError("Offset cannot be negative")
    whole = state.logs.get((call.project, call.path["uid"]), b"")
    piece = whole[offset:] if size < 0 else whole[offset : offset + size]
    return Raw(piece, {"x-mlrun-run-state": str(run["status"].get("state", ""))})


def store_log(state: State, call: Call) -> Any:
    key = (call.project, call.path["uid"])
    state.logs[key] = (state.logs.get(key, b"") if call.flag("append", "true") else b"") + call.body
    return {}


def _of(state: State, call: Call) -> dict[str, Any]:
    key = (call.project, call.path["uid"], _iteration(call))
    if key not in state.runs:
        raise not_found(f"Run uid {key[1]} of project {key[0]} not found")
    return state.runs[key]


def _iteration(call: Call) -> int:
    return int(call.one("iter", "0"))


def _named(wanted: str, name: str) -> bool:
    """The name, or after `~` a part of it (1.5.2: api/db/sqldb/db.py _add_run_name_query)."""
    return not wanted or (wanted[1:].lower() in name.lower() if wanted.startswith("~") else wanted == name)


def _labelled(wanted: str, labels: dict[str, Any]) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or str(labels[key]) == value)


def _within(call: Call, status: dict[str, Any]) -> bool:
    began = datetime.fromisoformat(status["start_time"])
    since, until = call.one("start_time_from"), call.one("start_time_to")
    return (not since or began >= datetime.fromisoformat(since)) and (
        not until or began <= datetime.fromisoformat(until)
    )
