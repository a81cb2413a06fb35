"""Runs of launchers that this process does not have.

Where it is the only one, the operator has taken the launcher away, and what the run did is not known. Where there are replicas, another one may have
it, as during an upgrade: then the watch of that launcher goes round among them, and only when nobody took it up for minutes its runs are lost.
"""

from __future__ import annotations

import structlog
from sqlalchemy import Connection

from service import limits
from service.domain.states import RunState
from service.errors import LaunchFailed
from service.reconciler.dispatcher import Held
from service.reconciler.end_run import end_run
from service.reconciler.images import KUBERNETES
from service.reconciler.rooms import Rooms
from service.store import jobs, runs, work
from service.store.runs import Run

log = structlog.get_logger(__name__)


def look_after(rooms: Rooms, conn: Connection) -> None:
    """At the start."""
    if not rooms.store.is_shared:
        jobs.cancel_elsewhere(conn, rooms.launchers)
        _lose(rooms, conn, runs.active_elsewhere(conn, rooms.launchers))
        return
    for launcher in jobs.launchers_of_open(conn) | {
        run.launcher for run in runs.active_elsewhere(conn, rooms.launchers)
    }:
        if launcher not in rooms.launchers:
            work.want(conn, "watch", launcher, now=rooms.store.now())


def look_at(rooms: Rooms, held: Held) -> None:
    """The watch of a launcher that is not here. Raises LaunchFailed as long as another replica may take it up."""
    name = held.key
    with rooms.store.read() as conn:
        if not (runs.count_active(conn, name) or name in jobs.launchers_of_open(conn)):
            return
    if rooms.store.is_shared and held.claim.attempts < limits.ELSEWHERE_ATTEMPTS:
        raise LaunchFailed(f"the launcher {name} is not in the settings of this replica; another replica may have it")

    def change(conn: Connection) -> None:
        jobs.cancel_of(conn, name)
        _lose(rooms, conn, runs.active(conn, name))

    held.write(change)


def _lose(rooms: Rooms, conn: Connection, lost: list[Run]) -> None:
    for run in lost:
        reason = f"it ran by the launcher {run.launcher}, which is not in use any more; what it did is not known"
        if run.launcher == KUBERNETES:
            reason += f". Remove what is left of it: kubectl delete jobs --selector mlrun-gitops.io/job={run.id}"
        log.warning("a run is lost", run=run.id, launcher=run.launcher, why=reason)
        end_run(rooms, conn, run, RunState.LOST, reason=reason, error={"type": "Lost", "message": reason})
