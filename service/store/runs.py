"""Workflow-runner executions and their events. An ended run stays as it ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, or_, select

from service import limits
from service.domain.projects import Concurrency, Json
from service.domain.states import ACTIVE_RUNS, ENDED_RUNS, OPEN_RUNS, RunState
from service.domain.steps import FINISHED, STARTED, StepEvent
from service.launchers import EndReason
from service.store.models import run_events as events_table
from service.store.models import runs as table
from service.store.sql import Rows, known


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Planned by `sync`, or due by `schedule` at `due`, or asked for under the idempotency key `request`.

    `declared_by` is the sync whose declaration holds; where it is not given, `sync`.

    `position` is how many bytes of its event file are in the store; `cancel` an end that somebody asked for;
    `starts` how often the launcher was told to start it.
    """

    id: str
    project: str
    repository: str
    workflow: str
    ref: str
    commit: str
    revision: str
    launcher: str
    mlrun_version: str
    timeout_s: float
    created_at: float
    sync: str | None = None
    declared_by: str | None = None
    schedule: str | None = None
    due: float | None = None
    request: str | None = None
    retry_of: str | None = None
    arguments: Json = field(default_factory=dict)
    concurrency: Concurrency = Concurrency.SUPERSEDE
    image: str | None = None
    state: RunState = RunState.QUEUED
    reason: str = ""
    position: int = 0
    cancel: EndReason | None = None
    starts: int = 1
    results: Json | None = None
    error: Json | None = None
    started_at: float | None = None
    ended_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    run: str
    position: int
    at: float
    event: str
    data: Json


_rows = Rows(table, Run, json=["arguments", "results", "error"])
_events = Rows(events_table, RunEvent, json=["data"], clip=["event"])
_step_events = (
    select(events_table.c.event, events_table.c.at, events_table.c.data)
    .where(events_table.c.run == bindparam("of_run"), events_table.c.event.in_([STARTED, FINISHED]))
    .order_by(events_table.c.position.desc())
    .limit(bindparam("last"))
)


def add(connection: Connection, run: Run) -> tuple[Run, bool]:
    """Add it: (it, True). Or, when there is one for the same sync and workflow, fire, request or id: (that one, False)."""
    run = replace(run, declared_by=run.declared_by or run.sync)
    if _rows.add(connection, run):
        return run, True
    keys = [("id",), ("sync", "project", "workflow"), ("schedule", "due"), ("project", "request")]
    # A key of which a part is not given is no key: two such runs are two.
    whole = [key for key in keys if all(getattr(run, name) is not None for name in key)]
    same = [and_(*(table.c[name] == getattr(run, name) for name in key)) for key in whole]
    there = _rows.first(connection, _rows.select().where(or_(*same)).order_by(table.c.id))
    return known(there, f"run {run.id}, nor could it be added"), False


def get(connection: Connection, run_id: str) -> Run:
    """Raises NotFound."""
    return known(find(connection, run_id), f"run {run_id}")


def find(connection: Connection, run_id: str) -> Run | None:
    return _rows.find(connection, id=run_id)


def page(
    connection: Connection,
    *,
    limit: int = limits.PAGE_DEFAULT,
    cursor: str | None = None,
    project: str | None = None,
    workflow: str | None = None,
    state: RunState | None = None,
    sync: str | None = None,
    schedule: str | None = None,
    repository: str | None = None,
    ref: str | None = None,
    commit: str | None = None,
    launcher: str | None = None,
) -> tuple[list[Run], str | None]:
    return _rows.page(
        connection,
        limit=limit,
        cursor=cursor,
        project=project,
        workflow=workflow,
        state=state,
        sync=sync,
        schedule=schedule,
        repository=repository,
        ref=ref,
        commit=commit,
        launcher=launcher,
    )


def active(connection: Connection, launcher: str) -> list[Run]:
    """Starting or running, oldest first."""
    return _rows.those(connection, "id", state=ACTIVE_RUNS, launcher=launcher)


def remark(connection: Connection, run_id: str, words: str) -> None:
    """Something that became known of a run after its end."""
    run = get(connection, run_id)
    _rows.set(connection, {"id": run_id, "state": ENDED_RUNS}, reason=f"{run.reason}; {words}" if run.reason else words)


def active_elsewhere(connection: Connection, launchers: Collection[str]) -> list[Run]:
    """Those that none of these launchers has."""
    where = (table.c.state.in_(sorted(ACTIVE_RUNS)), table.c.launcher.not_in(sorted(launchers)))
    return _rows.all(connection, _rows.select().where(*where).order_by(table.c.id))


def count_active(connection: Connection, launcher: str) -> int:
    return _rows.count(connection, launcher=launcher, state=ACTIVE_RUNS)


def queued(connection: Connection, launcher: str) -> list[Run]:
    """Those that wait for a place, oldest first."""
    return _rows.those(connection, "id", state=RunState.QUEUED, launcher=launcher)


def open_of(connection: Connection, project: str, workflow: str | None = None) -> list[Run]:
    """Everything of a project or one of its workflows that has not ended, oldest first."""
    one: dict[str, Any] = {} if workflow is None else {"workflow": workflow}
    return _rows.those(connection, "id", state=OPEN_RUNS, project=project, **one)


def transition(
    connection: Connection,
    run_id: str,
    state: RunState,
    *,
    expected: Collection[RunState],
    now: float | None = None,
    **also: Any,
) -> Run | None:
    """Compare and set: from one of the `expected` states to `state`, with other columns in `also`.

    None, and nothing changed, when the run is in another state: somebody was faster. `now` stamps started_at when it
    is running and ended_at at its end, unless `also` has them.
    """
    if ENDED_RUNS & frozenset(expected):
        raise ValueError("an ended run has no next state")
    if state is RunState.RUNNING:
        also.setdefault("started_at", now)
    if state in ENDED_RUNS:
        also.setdefault("ended_at", now)
    return _rows.change(connection, {"id": run_id, "state": expected}, state=state, **also)


def start(connection: Connection, run_id: str, **also: Any) -> Run | None:
    """Its place is taken; None when it waits no more. `also` are columns that are known better by now."""
    return transition(connection, run_id, RunState.STARTING, expected=[RunState.QUEUED], **also)


def end(
    connection: Connection,
    run_id: str,
    state: RunState,
    *,
    now: float,
    reason: str = "",
    results: Json | None = None,
    error: Json | None = None,
) -> Run | None:
    """Its end; None when it had one: the first counts."""
    if state not in ENDED_RUNS:
        raise ValueError(f"{state} is no end")
    return transition(
        connection, run_id, state, expected=OPEN_RUNS, now=now, reason=reason, results=results, error=error
    )


def request_cancel(connection: Connection, run_id: str, reason: EndReason = EndReason.CANCELLED) -> Run | None:
    """Note that the run is to end; None when it has ended. The first reason stays."""
    _rows.set(connection, {"id": run_id, "cancel": None, "state": OPEN_RUNS}, cancel=reason)
    run = find(connection, run_id)
    return run if run is not None and run.state in OPEN_RUNS else None


def add_events(
    connection: Connection, run_id: str, events: Sequence[Mapping[str, Any]], *, since: int, position: int, now: float
) -> list[RunEvent]:
    """Store an observation: `events`, read from byte `since` up to `position` of the run's event file.

    An observation that does not begin where the store is was stored before: then nothing happens and the answer is empty.
    So a step that is repeated after a crash tells nothing twice.
    """
    if position < since + len(events):
        raise ValueError(f"{len(events)} events cannot come from {position - since} bytes")
    if position == since or not _rows.set(connection, {"id": run_id, "position": since}, position=position):
        return []
    made = [_event(run_id, since + index, event, now) for index, event in enumerate(events)]
    for event in made:
        _events.add(connection, event)
    return made


def events(connection: Connection, run_id: str, *, after: int = -1, limit: int | None = None) -> list[RunEvent]:
    """In the order they were written, those behind position `after`."""
    query = _events.select().where(events_table.c.run == run_id, events_table.c.position > after)
    return _events.all(connection, query.order_by(events_table.c.position).limit(limit))


def step_events(connection: Connection, run_id: str, *, limit: int = limits.RUN_STEP_EVENTS) -> list[StepEvent]:
    """What is known of its steps, in order; of more than `limit` events the last."""
    found = connection.execute(_step_events, {"of_run": run_id, "last": limit}).all()
    return [_step_event(*row) for row in reversed(found)]


class _StepData(msgspec.Struct):
    """The part of a step event that is looked at; its results may be large and are passed over."""

    step: Any = ""
    state: Any = ""


_step_data = msgspec.json.Decoder(_StepData)


def _step_event(event: str, at: float, data: str) -> StepEvent:
    said = _step_data.decode(data)
    return StepEvent(event, str(said.step), at, str(said.state))


def _event(run: str, position: int, event: Mapping[str, Any], now: float) -> RunEvent:
    data = {k: v for k, v in event.items() if k not in ("event", "at")}
    return RunEvent(
        run=run, position=position, at=_seconds(event.get("at"), now), event=str(event.get("event", "")), data=data
    )


def _seconds(at: object, otherwise: float) -> float:
    """The runner's time, or `otherwise`: the file is written by a process that runs anybody's code."""
    try:
        return msgspec.convert(at, datetime, strict=False).timestamp()
    except (msgspec.ValidationError, ValueError, OverflowError):
        return otherwise
