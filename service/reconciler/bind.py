"""What a ref's new tip means: which projects are bound to it, and a queued sync for each.

A delivery only said where to look. What is synced is the tip; a pushed commit that is no longer the tip is recorded
as superseded by the newer one.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from service.domain import hints
from service.domain.events import Topic
from service.domain.plan import Cause
from service.domain.projects import Declaration
from service.domain.states import OPEN_SYNCS, Outcome, SyncState
from service.domain.triggers import is_tag
from service.errors import GitopsError, ProjectError, RefMissing
from service.reconciler import news
from service.reconciler.discover import Declared, declared
from service.reconciler.dispatcher import Held
from service.reconciler.own import give_up, settle
from service.reconciler.rooms import Rooms
from service.settings import Repository
from service.source import Commit, Tips
from service.store import deliveries, new_id, projects, repositories, syncs, work
from service.store.deliveries import Delivery
from service.store.projects import Project
from service.store.syncs import Sync

# Deliveries that a person made by the API: their sync happens even when nothing moved.
ASKED = "api"


@dataclass(frozen=True, slots=True)
class Moved:
    """A ref that was found somewhere new or hinted at."""

    ref: str
    tip: str
    hints: tuple[Delivery, ...]

    @property
    def asked(self) -> bool:
        return any(hint.forge == ASKED for hint in self.hints)


@dataclass(frozen=True, slots=True)
class _Ref:
    """One ref on its way into the store."""

    rooms: Rooms
    conn: Connection
    repository: Repository
    moved: Moved
    commits: dict[str, Commit]
    now: float


def take_in(rooms: Rooms, held: Held, repository: Repository, tips: Tips, moved: Moved) -> bool:
    """Queue the syncs of one ref, answer its deliveries and remember its tip, in one transaction.

    True when a name was given up, which another ref may have been refused.
    """
    failure: ProjectError | None = None
    found: tuple[Declared, ...] = ()
    try:
        found = declared(rooms, repository, ref=moved.ref, commit=moved.tip, default_branch=tips.default_branch)
    except ProjectError as error:
        failure = error
    wanted = {moved.tip} | {hint.after for hint in moved.hints if hint.after}
    commits = {sha: commit for sha in wanted if (commit := _commit(rooms, repository.name, sha))}

    def change(conn: Connection) -> bool:
        ref = _Ref(rooms, conn, repository, moved, commits, rooms.store.now())
        made, refusal, freed = (_fail_bound(ref, failure), failure, False) if failure else _queue(ref, found)
        _answer(ref, made=made, failure=refusal, concerned=bool(found))
        repositories.set_tip(conn, repository.name, moved.ref, moved.tip, now=ref.now)
        return freed

    return held.write(change)


def _commit(rooms: Rooms, repository: str, sha: str) -> Commit | None:
    try:
        return rooms.source.log(repository, None, sha, 1)[0]
    except RefMissing:
        return None


def unbind_ref(rooms: Rooms, conn: Connection, repository: str, ref: str) -> bool:
    """The ref is gone: so is what was bound to it, and nothing else. Whether anything was."""
    bound = projects.for_ref(conn, repository, ref)
    for project in bound:
        give_up(rooms, conn, project, reason=f"{ref} was deleted")
    return bool(bound)


def _queue(ref: _Ref, found: tuple[Declared, ...]) -> tuple[bool, ProjectError | None, bool]:
    """A sync for each project that has news: whether any had; without any, why one could not; whether a name is free now."""
    settled = settle(ref.rooms, ref.conn, ref.repository, ref.moved.ref, found, now=ref.now)
    for name in sorted(settled.owned):  # first, as who ends a sync does, or each would wait for what the other has
        work.lock(ref.conn, "sync", name)
    made = False
    for one in found:
        if one.name in settled.owned:
            made = _queue_one(ref, settled.owned[one.name], one) or made
    refusal: ProjectError | None = None
    for one in found:
        if (error := settled.refused.get(one.name)) is not None:
            refusal = error
            there = projects.by_binding(ref.conn, ref.repository.name, one.declaration.path, ref.moved.ref)
            _fail(ref, there, one.declaration, error)
    return made, None if made else refusal, settled.freed


def _queue_one(ref: _Ref, project: Project, one: Declared) -> bool:
    conn, moved = ref.conn, ref.moved
    last = last_sync(conn, project, moved.ref)
    hinted = bool(moved.hints) or (last is None and _was_pushed(ref, project))
    cause = hints.cause(moved.tip, last, hinted=hinted, asked=moved.asked)
    if cause is None:
        return False
    tip_sync = new_id()
    for sha in sorted(ref.commits.keys() - {moved.tip}):
        if not syncs.of_commit(conn, project.name, moved.ref, sha):
            passed = _add(ref, project.name, one.declaration, sha, cause)
            _give_way(ref, passed, tip_sync)
    sync = _add(ref, project.name, one.declaration, moved.tip, cause, sync_id=tip_sync)
    if not is_tag(moved.ref):
        for older in syncs.open_of(conn, project.name):
            if older.state == SyncState.QUEUED and older.ref == sync.ref and older.id != sync.id:
                _give_way(ref, older, sync.id)
    work.want(conn, "sync", project.name, now=ref.now)
    return True


def last_sync(conn: Connection, project: Project, ref: str) -> hints.Last | None:
    """The newest sync of the project on this ref. What happened under its name before it was given up is history."""
    newest = syncs.newest(conn, project.name, ref)
    if newest is None:
        return None
    untouched = (project.in_force, project.synced_commit, project.error) == (None, None, None)
    if untouched and not is_tag(ref) and newest.state not in OPEN_SYNCS:
        return None
    return hints.Last(newest.commit, newest.state, newest.cause)


def _was_pushed(ref: _Ref, project: Project) -> bool:
    """Whether a push told of this very tip and was answered that it failed: the outage is over, or the name is free."""
    if syncs.of_commit(ref.conn, project.name, ref.moved.ref, ref.moved.tip):
        return False
    failed, _ = deliveries.page(
        ref.conn, repository=ref.repository.name, ref=ref.moved.ref, outcome=Outcome.FAILED, limit=20
    )
    return any(delivery.after == ref.moved.tip for delivery in failed)


def _add(
    ref: _Ref, project: str, declaration: Declaration, sha: str, cause: Cause, *, sync_id: str | None = None
) -> Sync:
    """A queued sync of `project` to `sha`."""
    commit = ref.commits[sha]
    sync = Sync(
        id=sync_id or new_id(),
        project=project,
        repository=ref.repository.name,
        ref=ref.moved.ref,
        commit=sha,
        seq=projects.next_seq(ref.conn, project),
        cause=cause,
        declaration=declaration,
        subject=commit.subject,
        author=commit.author,
        created_at=ref.now,
    )
    syncs.add(ref.conn, sync)
    return sync


def _give_way(ref: _Ref, sync: Sync, to: str) -> None:
    ended = syncs.supersede(ref.conn, sync.id, by=to, now=ref.now)
    news.of_sync(ref.rooms, ref.conn, Topic.SYNC_SUPERSEDED, ended)


def _fail(ref: _Ref, project: Project | None, declaration: Declaration, error: GitopsError) -> None:
    """A sync that ended before it began: what the repository says at its tip can't be understood or allowed.

    Where no project is bound, the repository hears of it. The same trouble at the same tip is told once.
    """
    if project is None:
        repositories.record_error(ref.conn, ref.repository.name, url=ref.repository.url, error=str(error), now=ref.now)
        news.of_repository(
            ref.rooms,
            ref.conn,
            Topic.SYNC_FAILED,
            ref.repository.name,
            error,
            occurrence=f"{ref.moved.ref}/{ref.moved.tip}",
        )
        return
    newest = syncs.newest(ref.conn, project.name, ref.moved.ref)
    if newest is not None and newest.commit == ref.moved.tip and not ref.moved.hints:
        return
    sync = _add(ref, project.name, declaration, ref.moved.tip, Cause.PUSH)
    failed = syncs.fail(ref.conn, sync.id, error=error, now=ref.now)
    projects.record_error(ref.conn, project.name, str(error))
    news.of_sync(ref.rooms, ref.conn, Topic.SYNC_FAILED, failed)


def _fail_bound(ref: _Ref, error: GitopsError) -> bool:
    """The tip declares nothing readable: every project bound to the ref hears of it, or the repository does."""
    bound = projects.for_ref(ref.conn, ref.repository.name, ref.moved.ref)
    for project in bound:
        newest = syncs.newest(ref.conn, project.name, ref.moved.ref)
        _fail(ref, project, newest.declaration if newest else Declaration(), error)
    if not bound:
        _fail(ref, None, Declaration(), error)
    return bool(bound)


def _answer(ref: _Ref, *, made: bool, failure: GitopsError | None, concerned: bool) -> None:
    for hint in ref.moved.hints:
        outcome, reason = hints.answer(
            hint.after,
            ref.moved.tip,
            made=made,
            concerned=concerned,
            failure=str(failure) if failure else None,
            known=hint.after in ref.commits,
            asked=hint.forge == ASKED,
        )
        deliveries.set_outcome(ref.conn, hint.id, outcome, reason, now=ref.now)
