"""The end of a run: its state for good, its news, and the call to whoever waited for its place."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from service.domain.runs import TOPICS
from service.domain.states import RunState
from service.reconciler import news
from service.reconciler.rooms import Rooms
from service.store import runs, work
from service.store.runs import Run


def end_run(
    rooms: Rooms,
    conn: Connection,
    run: Run,
    state: RunState,
    *,
    reason: str,
    results: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
    log_tail: str = "",
) -> None:
    """Does nothing to a run that has ended: the first end counts. `log_tail` is for people."""
    now = rooms.store.now()
    ended = runs.end(conn, run.id, state, reason=reason, results=results, error=error, now=now)
    if ended is None:
        return
    news.of_run(rooms, conn, TOPICS[state], ended, log_tail=log_tail)
    for waiting in runs.queued(conn, run.launcher):
        work.want(conn, "launch", waiting.id, now=now)
