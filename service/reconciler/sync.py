"""One sync: a project is brought to a commit. Diff, load, plan, apply; each repeatable, the last one a transaction."""

from __future__ import annotations

import time
from functools import partial

import structlog
from sqlalchemy import Connection

from service.domain.drift import Saved
from service.domain.events import Topic
from service.domain.states import SyncState
from service.domain.triggers import is_tag
from service.errors import GitopsError, LeaseLost, SaveHeld, Stopping, StoreUnavailable
from service.faults import point
from service.reconciler import news
from service.reconciler.apply import apply
from service.reconciler.decide import Decided, Nothing, decide
from service.reconciler.dispatcher import Held
from service.reconciler.heal import heal, is_due
from service.reconciler.leave import leave
from service.reconciler.rooms import Rooms
from service.reconciler.save import record, save
from service.store import projects, syncs, work
from service.store.projects import Project
from service.store.syncs import Sync

log = structlog.get_logger(__name__)

# What fails for reasons of ours (a full disk, a launcher in trouble) is told at this attempt, and tried on until it
# succeeds or a newer commit comes: nobody would push again only because we recovered. A tag's sync ends here, which would
# hold up the others, and so does one that met a bug.
SYNC_ATTEMPTS = 6
# A save that waits for a run to begin looks again after so long.
_HELD_S = 1.0


def step(rooms: Rooms, held: Held) -> float | None:
    """Every open sync of the project: of a branch the newest, of tags each."""
    try:
        _all(rooms, held)
    except SaveHeld as error:
        log.info("a save waits", project=held.key, why=error.what)
        return rooms.store.now() + _HELD_S
    return None


def _all(rooms: Rooms, held: Held) -> None:
    while not held.is_put_down and (begun := held.open(partial(begin, rooms, name=held.key))) is not None:
        project, sync = begun
        try:
            _bring(rooms, held, project, sync)
        except (LeaseLost, SaveHeld, StoreUnavailable, Stopping):
            raise
        except GitopsError as error:
            often = held.claim.attempts + 1 >= SYNC_ATTEMPTS
            if not error.retry or (often and is_tag(sync.ref)):
                _fail(rooms, held, project, sync, error)
                continue
            if often:
                _complain(rooms, held, project, sync, error)
            raise
        except Exception as error:
            if held.claim.attempts + 1 < SYNC_ATTEMPTS:
                raise
            log.exception("sync failed by a bug", sync=sync.id)
            internal = GitopsError(f"internal error: {type(error).__name__}", mend="see the log")
            _fail(rooms, held, project, sync, internal)
    if not held.is_put_down:
        leave(rooms, held)
        heal(rooms, held)


def begin(rooms: Rooms, conn: Connection, name: str) -> tuple[Project, Sync] | None:
    """Choose the next sync; older ones of the same branch give way to it."""
    project = projects.find(conn, name)
    waiting = syncs.open_of(conn, name)
    if project is None or project.suspended or not waiting:
        return None
    branch = [sync for sync in waiting if not is_tag(sync.ref)]
    for older in branch[:-1]:
        ended = syncs.supersede(conn, older.id, by=branch[-1].id, now=rooms.store.now())
        news.of_sync(rooms, conn, Topic.SYNC_SUPERSEDED, ended)
    chosen = min(branch[-1:] + [sync for sync in waiting if is_tag(sync.ref)], key=lambda sync: sync.seq)
    if chosen.state == SyncState.QUEUED:
        chosen = syncs.start(conn, chosen.id, base=project.synced_commit, now=rooms.store.now())
        news.of_sync(rooms, conn, Topic.SYNC_STARTED, chosen)
    return project, chosen


def _bring(rooms: Rooms, held: Held, project: Project, sync: Sync) -> None:
    timings: dict[str, float] = {}
    decided = decide(rooms, held, project, sync, timings)
    if isinstance(decided, Nothing):
        _skip(rooms, held, project, sync, decided.reason)
        return
    point("sync.planned")
    held.check()
    began = time.monotonic()
    result = save(rooms, held, sync, decided.plan, decided.saving)
    if result is not None:
        timings["save"] = round(time.monotonic() - began, 4)
    point("sync.saved")
    held.check()
    _apply(rooms, held, project, sync, decided, result, timings)
    point("sync.applied")


def _skip(rooms: Rooms, held: Held, project: Project, sync: Sync, reason: str) -> None:
    def change(conn: Connection) -> bool:
        work.check(conn, held.claim, now=rooms.store.now())
        skipped = syncs.transition(conn, sync.id, SyncState.SKIPPED, now=rooms.store.now(), reason=reason)
        projects.record_synced(conn, project.name, sync.commit)
        news.of_sync(rooms, conn, Topic.SYNC_SUCCEEDED, skipped)  # who heard that it began hears how it ended
        return _is_all(rooms, conn, held.key)

    held.close(change)


def _apply(
    rooms: Rooms,
    held: Held,
    project: Project,
    sync: Sync,
    decided: Decided,
    result: Saved | None,
    timings: dict[str, float],
) -> None:
    """`result` is what MLRun has now, where something was written there."""
    began = time.monotonic()
    plan = decided.plan

    def change(conn: Connection) -> bool:
        work.check(conn, held.claim, now=rooms.store.now())
        apply(rooms, conn, project, sync, plan, decided.resolved)
        if result is not None:
            record(rooms, conn, held, sync, plan.revision, result)
        timings["apply"] = round(time.monotonic() - began, 4)
        ended = syncs.succeed(conn, sync.id, plan=plan, timings=timings, now=rooms.store.now())
        news.of_sync(rooms, conn, Topic.SYNC_SUCCEEDED, ended)
        return _is_all(rooms, conn, held.key)

    held.close(change)
    if plan.schedules:
        rooms.schedules_changed.set()


def _is_all(rooms: Rooms, conn: Connection, project: str) -> bool:
    return not syncs.open_of(conn, project) and not is_due(rooms, conn, project)


def _fail(rooms: Rooms, held: Held, project: Project, sync: Sync, error: GitopsError) -> None:
    """The last good revision and its schedules stay in force."""

    def change(conn: Connection) -> None:
        work.check(conn, held.claim, now=rooms.store.now())
        failed = syncs.fail(conn, sync.id, error=error, now=rooms.store.now())
        projects.record_error(conn, project.name, str(error))
        news.of_sync(rooms, conn, Topic.SYNC_FAILED, failed)

    rooms.store.write(change)


def _complain(rooms: Rooms, held: Held, project: Project, sync: Sync, error: GitopsError) -> None:
    """People hear of it, although it may still succeed."""

    def change(conn: Connection) -> None:
        work.check(conn, held.claim, now=rooms.store.now())
        troubled = syncs.record(conn, sync.id, error=syncs.failure(error))
        projects.record_error(conn, project.name, str(error))
        news.of_sync(rooms, conn, Topic.SYNC_FAILED, troubled)

    rooms.store.write(change)
