"""One preview: the sync that a push would lead to, decided like any other and then dropped.

Somebody waits for the answer. So what fails is told at once, where a sync would try on: to ask again is their retry.
What a crash cut off is done again, as all work is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection

from service.domain import hints
from service.domain.refs import HEADS, TAGS, short
from service.domain.states import OPEN_SYNCS, PreviewState
from service.errors import GitopsError, LeaseLost, NotFound, ProjectError, RefMissing, Stopping, StoreUnavailable
from service.reconciler.bind import last_sync
from service.reconciler.decide import Decided, Nothing, decide
from service.reconciler.discover import Declared, declared
from service.reconciler.dispatcher import Held
from service.reconciler.own import grant
from service.reconciler.rooms import Rooms
from service.settings import Repository
from service.source import Tips
from service.store import previews, projects, repositories, syncs, work
from service.store.previews import Preview
from service.store.projects import Project
from service.store.syncs import Sync

log = structlog.get_logger(__name__)

# A sync that ends while its project is planned changes what the plan is compared with; then it is planned anew.
TRIES = 5


@dataclass(frozen=True, slots=True)
class _Pushed:
    """What counts as pushed, what the project is declared as there, and what was assumed."""

    repository: Repository
    ref: str
    commit: str
    declared: Declared
    note: str = ""


def step(rooms: Rooms, held: Held) -> float | None:
    preview = held.write(lambda conn: previews.begin(conn, held.key))
    if preview is None:
        return None
    try:
        pushed = _pushed(rooms, preview)
        held.check()
        _answer(rooms, held, preview, pushed)
    except (LeaseLost, StoreUnavailable, Stopping):
        raise
    except GitopsError as error:
        _fail(rooms, held, error)
    except Exception as error:
        log.exception("a plan failed by a bug", project=preview.project)
        _fail(rooms, held, GitopsError(f"internal error: {type(error).__name__}", mend="see the service's log"))
    return None


def _pushed(rooms: Rooms, preview: Preview) -> _Pushed:
    """Fetch, and find the commit that was asked about. Tips that the store knows stay as they are: no push is overlooked."""
    with rooms.store.read() as conn:
        project = projects.get(conn, preview.project)
    repository = rooms.repository(project.repository)
    if repository is None:
        raise NotFound(f"the repository {project.repository} is not in the settings any more", mend="put it back there")
    tips = rooms.source.fetch(repository)
    with rooms.store.read() as conn:
        known = repositories.find(conn, repository.name)
    default = tips.default_branch or (known.default_branch if known else None)
    ref, commit = _named(rooms, repository, tips, preview.asked or project.ref)
    if ref is not None and (own := _declared(rooms, repository, ref, commit, default, project.name)) is not None:
        return _Pushed(repository, ref, commit, own)
    own = _declared(rooms, repository, project.ref, commit, default, project.name)
    if own is None:
        raise ProjectError(
            f"{repository.name} at {commit[:12]} declares no project {project.name} for {short(project.ref)}",
            mend="a push of it would give the project up; mend its name, or refs in .gitops.yaml, if that is not meant",
        )
    note = f"planned as if {short(ref)} came to {short(project.ref)}" if ref not in (None, project.ref) else ""
    return _Pushed(repository, project.ref, commit, own, note)


def _named(rooms: Rooms, repository: Repository, tips: Tips, asked: str) -> tuple[str | None, str]:
    """The full ref and its commit; a commit by its id has no ref."""
    for ref in (asked, f"{HEADS}{asked}", f"{TAGS}{asked}", f"refs/{asked}"):
        if ref.startswith((HEADS, TAGS)) and ref in tips.refs:
            return ref, tips.refs[ref]
    try:
        return None, rooms.source.log(repository.name, None, asked, 1)[0].sha
    except RefMissing:
        raise RefMissing(
            f"{repository.name} has no branch, tag or commit {asked[:80]!r}",
            mend="push it first, or correct its name; a commit is named by its whole id",
        ) from None


def _declared(
    rooms: Rooms, repository: Repository, ref: str, commit: str, default: str | None, name: str
) -> Declared | None:
    """The project as the commit declares it for `ref`; None where it does not. Raises what a push would fail by."""
    found = declared(rooms, repository, ref=ref, commit=commit, default_branch=default)
    with rooms.store.read() as conn:
        granted, refused = grant(conn, repository, ref, found)
    if name in refused:
        raise refused[name]
    return granted.get(name)


def _answer(rooms: Rooms, held: Held, preview: Preview, pushed: _Pushed) -> None:
    for _ in range(TRIES):
        with rooms.store.read() as conn:
            project = projects.get(conn, preview.project)
            last = last_sync(conn, project, pushed.ref)
        decided = _decide(rooms, held, preview, project, pushed, last)
        if _end(rooms, held, project, pushed, decided):
            return
    raise GitopsError(f"{preview.project} is synced all the time; no plan of it lasts", mend="ask again a little later")


def _decide(
    rooms: Rooms, held: Held, preview: Preview, project: Project, pushed: _Pushed, last: hints.Last | None
) -> Decided | Nothing:
    """As for the sync of that push, which nobody keeps."""
    cause = hints.cause(pushed.commit, last, hinted=True, asked=False)
    if cause is None:
        under_way = last is not None and last.state in OPEN_SYNCS
        return Nothing("a sync of this commit is under way" if under_way else "this commit was synced already")
    sync = Sync(
        id=preview.id,
        project=project.name,
        repository=pushed.repository.name,
        ref=pushed.ref,
        commit=pushed.commit,
        seq=project.last_seq + 1,
        cause=cause,
        declaration=pushed.declared.declaration,
        base=project.synced_commit,
        created_at=preview.created_at,
    )
    return decide(rooms, held, project, sync)


def _end(rooms: Rooms, held: Held, project: Project, pushed: _Pushed, decided: Decided | Nothing) -> bool:
    """Keep the answer; False when what is in force is no longer what it was compared with."""
    where: dict[str, Any] = {"ref": pushed.ref, "commit": pushed.commit}

    def change(conn: Connection) -> bool:
        now = rooms.store.now()
        work.check(conn, held.claim, now=now)
        if projects.find(conn, project.name) != project:
            return False
        if isinstance(decided, Nothing):
            previews.end(conn, held.key, PreviewState.SKIPPED, now=now, reason=decided.reason, **where)
        else:
            previews.end(
                conn, held.key, PreviewState.SUCCEEDED, now=now, reason=pushed.note, plan=decided.plan, **where
            )
        return True

    return rooms.store.write(change)


def _fail(rooms: Rooms, held: Held, error: GitopsError) -> None:
    def change(conn: Connection) -> None:
        now = rooms.store.now()
        work.check(conn, held.claim, now=now)
        previews.end(conn, held.key, PreviewState.FAILED, now=now, reason=str(error), error=syncs.failure(error))

    rooms.store.write(change)
