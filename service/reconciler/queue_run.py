"""Put a run in the queue and make room for it by its concurrency rule."""

from __future__ import annotations

from sqlalchemy import Connection

from service.domain import supersede
from service.domain.events import Topic
from service.domain.states import RunState
from service.launchers import EndReason
from service.reconciler import news
from service.reconciler.end_run import end_run
from service.reconciler.rooms import Rooms
from service.store import runs, work
from service.store.runs import Run


def queue_run(rooms: Rooms, conn: Connection, run: Run) -> Run:
    """The run as it is in the store: the same one asked for twice is one run."""
    added, is_new = runs.add(conn, run)
    if not is_new:
        return added
    news.of_run(rooms, conn, Topic.RUN_QUEUED, added)
    others = runs.open_of(conn, run.project, run.workflow)
    way = supersede.gives_way(_seen(added), [_seen(other) for other in others])
    for other in others:
        if other.id in way.superseded:
            end_run(rooms, conn, other, RunState.SUPERSEDED, reason=f"run {run.id} is newer")
        elif other.id in way.cancelled:
            runs.request_cancel(conn, other.id, EndReason.SUPERSEDED)
    work.want(conn, "launch", added.id, now=run.created_at)
    return added


def _seen(run: Run) -> supersede.OpenRun:
    return supersede.OpenRun(
        id=run.id,
        workflow=run.workflow,
        state=run.state,
        ref=run.ref,
        concurrency=run.concurrency,
        schedule=run.schedule,
        asked=run.request is not None,
    )
