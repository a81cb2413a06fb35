"""What is in force is saved into MLRun again where a save that did not end left some of another revision there.

It is done as the project's `sync`, after all that are open: a save that succeeds leaves nothing to heal.
"""

from __future__ import annotations

from dataclasses import replace

import structlog
from sqlalchemy import Connection

from service.domain.projects import Resolved
from service.domain.writes import plan_writes
from service.reconciler.dispatcher import Held
from service.reconciler.rooms import Rooms
from service.reconciler.save import look_up, record, saving, write
from service.store import projects, revisions, saved, syncs, unfinished
from service.store.syncs import Sync

log = structlog.get_logger(__name__)


def is_due(rooms: Rooms, conn: Connection, name: str) -> bool:
    """Whether there is anything to heal, and nothing else that would."""
    return rooms.target is not None and _in_force(rooms, conn, name) is not None


def heal(rooms: Rooms, held: Held) -> None:
    """Raises LeaseLost, MlrunError, SourceError, SaveHeld: it is tried again, as a sync is."""
    if rooms.target is None:
        return
    with rooms.store.read() as conn:
        found = _in_force(rooms, conn, held.key)
    if found is None:
        return
    sync, revision, resolved = found
    log.warning("a save into MLRun did not end; what is in force is saved again", project=sync.project)
    wanted = saving(rooms, sync, resolved, *look_up(rooms, sync))
    assert wanted is not None
    result = write(rooms, held, sync, plan_writes(wanted), wanted)
    result = replace(result, api=rooms.mlrun_address, clock=rooms.settings.schedules.owner)
    held.write(lambda conn: record(rooms, conn, held, sync, revision, result))


def _in_force(rooms: Rooms, conn: Connection, name: str) -> tuple[Sync, str, Resolved] | None:
    """What is to be saved again: the sync that put it in force at the commit that is saved, its revision, and that as data."""
    project = projects.find(conn, name)
    if project is None or project.suspended or not (project.in_force and project.in_force_sync):
        return None
    if unfinished.find(conn, name, rooms.mlrun_address) is None or syncs.open_of(conn, name):
        return None
    sync, last = syncs.get(conn, project.in_force_sync), saved.find(conn, name)
    if last is not None and last.revision == project.in_force:
        sync = replace(sync, commit=last.commit)
    return sync, project.in_force, revisions.get(conn, name, project.in_force).resolved
