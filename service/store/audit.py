"""Who did what by API."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

from service import limits
from service.domain.projects import Json
from service.store.models import audit as table
from service.store.sql import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    id: str
    at: float
    actor: str
    action: str
    target: str
    data: Json = field(default_factory=dict)


_rows = Rows(table, Entry, json=["data"], clip=["actor", "target"])


def add(connection: Connection, entry: Entry) -> None:
    _rows.add(connection, entry)


def page(
    connection: Connection,
    *,
    limit: int = limits.PAGE_DEFAULT,
    cursor: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    target: str | None = None,
) -> tuple[list[Entry], str | None]:
    return _rows.page(connection, limit=limit, cursor=cursor, actor=actor, action=action, target=target)
