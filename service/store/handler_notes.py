"""What handlers remember of what they sent. Notes that nobody touched for a month are forgotten: nobody edits so old a message."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete

from service import limits
from service.domain.projects import Json
from service.store.models import handler_notes as table
from service.store.sql import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    handler: str
    key: str
    note: Json
    at: float


_rows = Rows(table, Note, json=["note"])


def find(connection: Connection, handler: str, key: str) -> Json | None:
    found = _rows.find(connection, handler=handler, key=key)
    return None if found is None else found.note


def put(connection: Connection, handler: str, key: str, note: Json, *, now: float) -> None:
    """Write it, or write it anew; forgets the handler's oldest ones."""
    _rows.put(connection, {"handler": handler, "key": key}, note=note, at=now)
    old = now - limits.HANDLER_NOTE_S
    connection.execute(delete(table).where(table.c.handler == handler, table.c.at < old))
