"""Plans that somebody asked to see, each of a push that did not happen. Nothing else hangs on them, so the old ones go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select

from service import limits
from service.domain.plan import Plan
from service.domain.projects import Json
from service.domain.states import OPEN_PREVIEWS, PreviewState
from service.store import work
from service.store.models import previews as table
from service.store.sql import Rows, known

# Work that plans a preview; its key is the preview's id.
KIND = "plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """`asked` is the asker's word for a ref or commit, None: the project's ref; `ref` and `commit` are what it came to."""

    id: str
    project: str
    created_at: float
    asked: str | None = None
    ref: str | None = None
    commit: str | None = None
    state: PreviewState = PreviewState.QUEUED
    reason: str = ""
    plan: Plan | None = None
    error: Json | None = None
    ended_at: float | None = None


_rows = Rows(table, Preview, json=["plan", "error"])
_open = table.c.state.in_(sorted(OPEN_PREVIEWS))


def add(connection: Connection, preview: Preview) -> None:
    _rows.add(connection, preview)


def get(connection: Connection, project: str, preview_id: str) -> Preview:
    """Raises NotFound."""
    found = find(connection, preview_id)
    return known(found if found and found.project == project else None, f"plan {preview_id} of project {project!r}")


def find(connection: Connection, preview_id: str) -> Preview | None:
    return _rows.find(connection, id=preview_id)


def open_of(connection: Connection, project: str) -> list[Preview]:
    """What is to be planned or being planned, oldest first."""
    return _rows.those(connection, "id", project=project, state=OPEN_PREVIEWS)


def begin(connection: Connection, preview_id: str) -> Preview | None:
    """It is being planned, perhaps again after a crash; None when it has ended, or is gone."""
    return _rows.change(connection, {"id": preview_id, "state": OPEN_PREVIEWS}, state=PreviewState.PLANNING)


def end(connection: Connection, preview_id: str, state: PreviewState, *, now: float, **also: Any) -> None:
    """`also` are other columns: ref, commit, reason, plan, error. One that has ended stays as it is."""
    _rows.set(connection, {"id": preview_id, "state": OPEN_PREVIEWS}, state=state, ended_at=now, **also)


def prune(connection: Connection, project: str, *, now: float) -> None:
    """Forget those that are old, and of this project all but the newest; and the work that made them."""
    over = select(table.c.id).where(table.c.project == project).order_by(table.c.id.desc()).offset(limits.PREVIEWS_KEPT)
    last = connection.execute(over.limit(1)).scalar()
    connection.execute(delete(table).where(~_open, table.c.created_at < now - limits.PREVIEWS_KEPT_S))
    if last is not None:
        connection.execute(delete(table).where(~_open, table.c.project == project, table.c.id <= last))
    work.forget_done(connection, KIND, but=select(table.c.id))
