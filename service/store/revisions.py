"""Resolved projects: plain data with which a configuration can be saved again without anybody's code."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, and_, or_

from service import limits
from service.domain.projects import Resolved
from service.store.models import revisions as table
from service.store.sql import Rows, known, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A revision in a list, without its data. `commit` is where it was first resolved."""

    project: str
    id: str
    commit: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    project: str
    id: str
    commit: str
    resolved: Resolved
    created_at: float


_rows = Rows(table, Revision, json=["resolved"])
_entries = Rows(table, Entry)


def put(connection: Connection, *, project: str, revision: str, commit: str, resolved: Resolved, now: float) -> bool:
    """False when it is known already; the one that was first stays."""
    return _rows.add(
        connection, Revision(project=project, id=revision, commit=commit, resolved=resolved, created_at=now)
    )


def get(connection: Connection, project: str, revision_id: str) -> Revision:
    """Raises NotFound."""
    return known(find(connection, project, revision_id), f"revision {revision_id} of project {project!r}")


def find(connection: Connection, project: str, revision_id: str) -> Revision | None:
    return _rows.find(connection, project=project, id=revision_id)


def page(
    connection: Connection, *, project: str, limit: int = limits.PAGE_DEFAULT, cursor: str | None = None
) -> tuple[list[Entry], str | None]:
    """Newest first."""
    query = _entries.select().where(table.c.project == project)
    if cursor is not None:
        at, _, last = cursor.partition("~")
        since = number(at)
        query = query.where(or_(table.c.created_at < since, and_(table.c.created_at == since, table.c.id < last)))
    query = query.order_by(table.c.created_at.desc(), table.c.id.desc())
    return _entries.cut(connection, query, limit, lambda row: f"{row.created_at!r}~{row.id}")
