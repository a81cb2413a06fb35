"""Follow all active runs of a launcher: one loop, however many there are."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection

from service.domain import log_tail
from service.domain import runs as lives
from service.domain.events import Topic
from service.domain.states import ENDED_RUNS, RunState
from service.domain.steps import FINISHED, STARTED
from service.errors import LauncherError
from service.faults import point
from service.launchers import Launcher, Life, Observation
from service.reconciler import elsewhere, news
from service.reconciler.dispatcher import Held
from service.reconciler.end_run import end_run
from service.reconciler.rooms import Rooms
from service.store import runs, work
from service.store.runs import Run

log = structlog.get_logger(__name__)

# The longest wait for news; a cancellation that somebody asked for is noticed at least this often.
_LOOK_S = 0.5
# The wait where what there is to see says nothing yet.
_LOOK_SOON_S = 0.05
# Ends of which people want to see the log's.
_TROUBLED = frozenset({RunState.FAILED, RunState.TIMED_OUT, RunState.LOST, RunState.CANCELLED})


def step(rooms: Rooms, held: Held) -> float | None:
    """Until no run is active. A run that starts meanwhile wants this step again, so none is overlooked."""
    asked: set[str] = set()
    launcher = rooms.launchers.get(held.key)
    if launcher is None:
        elsewhere.look_at(rooms, held)
        return None
    while not rooms.stopping.is_set():
        with rooms.store.read() as conn:
            active = {run.id: run for run in runs.active(conn, launcher.name)}
            launching = {run for run in active if work.is_open(conn, "launch", run)}
        if not active:
            return None
        held.check()
        for run in active.values():
            if run.cancel and run.id not in asked and _cancel(launcher, run):
                asked.add(run.id)
        observed = launcher.observe({run.id: run.position for run in active.values()}, _LOOK_S)
        current = [seen for seen in observed if not (seen.job in launching and _is_of_before(active[seen.job], seen))]
        for seen in current:
            if _is_news(active[seen.job], seen):
                point("watch.before-record")
                _record(rooms, held, active[seen.job], seen)
                point("watch.after-record")
        if observed and not current:
            rooms.stopping.wait(_LOOK_SOON_S)
        if held.claim.attempts:
            break  # it goes well again: failures before are not to count for a replica without this launcher (`elsewhere`)
    return rooms.store.now()


def _cancel(launcher: Launcher, run: Run) -> bool:
    """Whether the launcher was told. One that cannot be told now keeps no other run from being watched."""
    assert run.cancel is not None
    try:
        launcher.cancel(run.id, run.cancel)
    except LauncherError as error:
        log.warning("a run could not be cancelled; it is tried again", run=run.id, error=str(error))
        return False
    return True


def _is_of_before(run: Run, seen: Observation) -> bool:
    """Nothing is there, or only how an earlier start ended: the launcher is being told of the run at this moment."""
    return run.state == RunState.STARTING and seen.life in (Life.GONE, Life.UNKNOWN) and not seen.events


def _is_news(run: Run, seen: Observation) -> bool:
    if run.state == RunState.STARTING and seen.detail not in ("", run.reason):
        return True  # what it waits for
    return bool(seen.events) or seen.position != run.position or seen.life in (Life.GONE, Life.UNKNOWN)


def _record(rooms: Rooms, held: Held, run: Run, seen: Observation) -> None:
    """The events and what they make of the run, in one transaction."""
    seen = replace(seen, events=tuple(_storable(event) for event in seen.events))
    tail = _log_tail(rooms, run, seen)

    def change(conn: Connection) -> None:
        now = rooms.store.now()
        work.check(conn, held.claim, now=now)
        added = runs.add_events(conn, run.id, seen.events, since=run.position, position=seen.position, now=now)
        moved = lives.advance(_progress(run), seen, now)
        after = moved.progress
        if after.state in ENDED_RUNS:
            if run.started_at is None and after.started_at is not None:
                started = _started(conn, run, after)
                news.of_run(rooms, conn, Topic.RUN_STARTED, started)
            end_run(
                rooms,
                conn,
                run,
                after.state,
                reason=after.reason,
                results=after.results or None,
                error=after.error,
                log_tail=tail,
            )
        elif after.state == RunState.RUNNING:
            current = run
            if run.state == RunState.STARTING:
                current = _started(conn, run, after)
                news.of_run(rooms, conn, Topic.RUN_STARTED, current)
            if any(event.event in (STARTED, FINISHED) for event in added):
                news.of_run(rooms, conn, Topic.RUN_PROGRESS, current)
        elif moved.start_again:
            runs.transition(
                conn,
                run.id,
                RunState.STARTING,
                expected=[RunState.STARTING],
                starts=run.starts + 1,
                reason=after.reason,
            )
            work.want(conn, "launch", run.id, now=now)
        elif after.reason != run.reason:
            runs.transition(conn, run.id, RunState.STARTING, expected=[RunState.STARTING], reason=after.reason)

    rooms.store.write(change)
    with rooms.store.read() as conn:
        if runs.get(conn, run.id).state in ENDED_RUNS:
            rooms.launcher(run.launcher).clean(run.id)


def _log_tail(rooms: Rooms, run: Run, seen: Observation) -> str:
    """What a run that now ends without having done its work printed last; read here, since transactions wait for no files."""
    if lives.advance(_progress(run), seen, rooms.store.now()).progress.state not in _TROUBLED:
        return ""
    try:
        return log_tail.log_tail(rooms.launcher(run.launcher).logs(run.id, -log_tail.BYTES).text)
    except LauncherError as error:
        log.warning("a run's log could not be read", run=run.id, error=str(error))
        return ""


def _storable(event: dict[str, Any]) -> dict[str, Any]:
    """JSON can say what no database keeps: half a character. What cannot be written at all loses its fields."""
    try:
        msgspec.json.encode(event)
    except UnicodeEncodeError:
        plain = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
        kept: dict[str, Any] = json.loads(plain)
        return kept
    except RecursionError:
        return {key: value for key, value in event.items() if isinstance(value, str)}
    return event


def _started(conn: Connection, run: Run, after: lives.Progress) -> Run:
    started = runs.transition(
        conn,
        run.id,
        RunState.RUNNING,
        expected=[RunState.STARTING, RunState.RUNNING],
        now=after.started_at or run.created_at,
        started_at=after.started_at,
        reason="",
    )
    return started or replace(run, state=RunState.RUNNING, started_at=after.started_at)


def _progress(run: Run) -> lives.Progress:
    return lives.Progress(
        state=run.state,
        position=run.position,
        cancel=run.cancel,
        starts=run.starts,
        reason=run.reason,
        started_at=run.started_at,
        ended_at=run.ended_at,
    )
