"""Who fires a project's schedules while the settings name somebody else than they did, or another MLRun.

The clock changes hands by a sync, which saves into MLRun what is new there and records it with the project. Until then whoever had it
keeps it: nothing is fired by both, and a project that MLRun cannot take stays with this service's clock.
"""

from __future__ import annotations

from sqlalchemy import Connection

from service.domain.plan import Cause
from service.reconciler.rooms import MLRUN, Rooms
from service.store import new_id, projects, saved, syncs, work
from service.store.projects import Project
from service.store.syncs import Sync


def is_due(rooms: Rooms, conn: Connection, project: Project) -> bool:
    """Whether MLRun has the project otherwise than the settings want it, whatever Git says."""
    if rooms.target is None or project.in_force is None:
        return False
    last = saved.find(conn, project.name)
    wanted = (rooms.mlrun_address, rooms.settings.schedules.owner, False)
    return last is None or (last.saved.api, last.saved.clock, last.saved.left) != wanted


def is_fired_by_mlrun(rooms: Rooms, conn: Connection, project: str) -> bool:
    """By the MLRun that the settings name: of another one nobody hears any more."""
    if rooms.target is None:
        return False
    last = saved.find(conn, project)
    return last is not None and (last.saved.api, last.saved.clock) == (rooms.mlrun_address, MLRUN)


def ask_for_all(rooms: Rooms, conn: Connection) -> None:
    """A sync of what is in force for each project whose hand-over is due. It runs nothing, as no file changed."""
    for repository in rooms.settings.repositories:
        for project in projects.for_repository(conn, repository.name):
            before = syncs.find(conn, project.in_force_sync) if project.in_force_sync else None
            if before is not None and is_due(rooms, conn, project) and not syncs.open_of(conn, project.name):
                _ask(rooms, conn, project, before)


def _ask(rooms: Rooms, conn: Connection, project: Project, before: Sync) -> None:
    now = rooms.store.now()
    sync = Sync(
        id=new_id(),
        project=project.name,
        repository=before.repository,
        ref=before.ref,
        commit=before.commit,
        seq=projects.next_seq(conn, project.name),
        cause=Cause.RETRY,
        declaration=before.declaration,
        subject=before.subject,
        author=before.author,
        created_at=now,
    )
    syncs.add(conn, sync)
    work.want(conn, "sync", project.name, now=now)
