"""The transitions of each project from commit to commit, with plan, outcome and reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from service import limits
from service.domain.plan import Cause, Plan
from service.domain.projects import Declaration, Json
from service.domain.states import OPEN_SYNCS, SyncState
from service.errors import GitopsError, TransitionRefused
from service.store.models import syncs as table
from service.store.sql import Rows, known


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """`error` has code, what, mend and detail (see `failure`); `timings` maps a stage to its seconds."""

    id: str
    project: str
    repository: str
    ref: str
    commit: str
    seq: int
    cause: Cause
    declaration: Declaration
    created_at: float
    state: SyncState = SyncState.QUEUED
    reason: str = ""
    base: str | None = None
    superseded_by: str | None = None
    subject: str | None = None
    author: str | None = None
    revision: str | None = None
    plan: Plan | None = None
    error: Json | None = None
    timings: dict[str, float] = field(default_factory=dict)
    started_at: float | None = None
    ended_at: float | None = None


_rows = Rows(table, Sync, json=["declaration", "plan", "error", "timings"], clip=["author"])

_ENDED = frozenset(SyncState) - OPEN_SYNCS - {SyncState.HELD}
# To the same state again: a step that is repeated after a crash.
_LEADS_TO = {
    SyncState.QUEUED: frozenset(SyncState) - {SyncState.SUCCEEDED},
    SyncState.SYNCING: frozenset(SyncState),
    SyncState.HELD: frozenset({SyncState.HELD, SyncState.QUEUED, SyncState.SUPERSEDED, SyncState.SKIPPED}),
}


def add(connection: Connection, sync: Sync) -> bool:
    """False when this id or (project, seq) is there already."""
    return _rows.add(connection, sync)


def get(connection: Connection, sync_id: str) -> Sync:
    """Raises NotFound."""
    return known(find(connection, sync_id), f"sync {sync_id}")


def find(connection: Connection, sync_id: str) -> Sync | None:
    return _rows.find(connection, id=sync_id)


def page(
    connection: Connection,
    *,
    limit: int = limits.PAGE_DEFAULT,
    cursor: str | None = None,
    project: str | None = None,
    repository: str | None = None,
    ref: str | None = None,
    commit: str | None = None,
    state: SyncState | None = None,
) -> tuple[list[Sync], str | None]:
    return _rows.page(
        connection,
        limit=limit,
        cursor=cursor,
        project=project,
        repository=repository,
        ref=ref,
        commit=commit,
        state=state,
    )


def open_of(connection: Connection, project: str) -> list[Sync]:
    """What is to be done, oldest first: queued, or left in `syncing` by a crash."""
    return _rows.those(connection, "seq", project=project, state=OPEN_SYNCS)


def newest(connection: Connection, project: str, ref: str | None = None) -> Sync | None:
    """The last one of a project, or of one of its refs."""
    one: dict[str, Any] = {} if ref is None else {"ref": ref}
    return _rows.find(connection, order="-seq", project=project, **one)


def of_commit(connection: Connection, project: str, ref: str, commit: str) -> list[Sync]:
    """Every sync of a project to this commit, oldest first."""
    return _rows.those(connection, "seq", project=project, ref=ref, commit=commit)


def for_commit(connection: Connection, repository: str, ref: str, commit: str) -> list[Sync]:
    """Every sync that a push of this commit led to, in all projects, oldest first."""
    return _rows.those(connection, "id", repository=repository, ref=ref, commit=commit)


def supersede_open(connection: Connection, project: str, *, reason: str, now: float) -> list[Sync]:
    """Whatever is still to be done is pointless now, for this reason."""
    return [
        transition(connection, sync.id, SyncState.SUPERSEDED, now=now, reason=reason)
        for sync in open_of(connection, project)
    ]


def supersede(connection: Connection, sync_id: str, *, by: str, now: float) -> Sync:
    """It gives way to the newer sync `by`."""
    reason = "a newer commit came"
    return transition(connection, sync_id, SyncState.SUPERSEDED, now=now, superseded_by=by, reason=reason)


def start(connection: Connection, sync_id: str, *, base: str | None, now: float) -> Sync:
    """It is being done; `base` is the commit that it is compared with."""
    return transition(connection, sync_id, SyncState.SYNCING, now=now, base=base)


def succeed(
    connection: Connection, sync_id: str, *, plan: Plan, now: float, timings: Mapping[str, float] | None = None
) -> Sync:
    return transition(
        connection,
        sync_id,
        SyncState.SUCCEEDED,
        now=now,
        plan=plan,
        revision=plan.revision,
        error=None,
        timings=dict(timings or {}),
    )


def fail(connection: Connection, sync_id: str, *, error: BaseException, now: float) -> Sync:
    return transition(connection, sync_id, SyncState.FAILED, now=now, error=failure(error), reason=str(error))


def transition(connection: Connection, sync_id: str, state: SyncState, *, now: float, **also: Any) -> Sync:
    """Bring the sync to `state`; `also` are other columns (reason, revision, plan, error, base ...).

    Raises TransitionRefused when it has ended or `state` cannot follow on the one it is in.
    """
    sync = _locked(connection, sync_id)
    if state not in _LEADS_TO.get(sync.state, frozenset()):
        raise TransitionRefused(f"sync {sync_id} of {sync.project} is {sync.state} and cannot become {state}")
    if state is SyncState.SYNCING and sync.started_at is None:
        also["started_at"] = now
    if state in _ENDED:
        also["ended_at"] = now
    return record(connection, sync_id, state=state, **also)


def record(connection: Connection, sync_id: str, **values: Any) -> Sync:
    """Set columns that are no state: subject, author, base, plan, error ..."""
    return known(_rows.change(connection, {"id": sync_id}, **values), f"sync {sync_id}")


def failure(error: BaseException) -> Json:
    """An error as it is stored and shown."""
    if isinstance(error, GitopsError):
        return {"code": error.code, "what": error.what, "mend": error.mend, "detail": error.detail}
    return {"code": "internal", "what": f"{type(error).__name__}: {error}", "mend": "", "detail": ""}


def _locked(connection: Connection, sync_id: str) -> Sync:
    return known(_rows.find(connection, id=sync_id, lock=True), f"sync {sync_id}")
