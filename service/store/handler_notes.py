"""What handlers remember of what they sent. Notes that nobody touched for a month are forgotten: nobody edits so old a message."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete

from service import limits
from service.domain.projects import Json
from service.store.models import handler_notes as table
from service.store.sql import Rows, insert


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    handler: str
    key: str
    note: Json
    at: float


_rows = Rows(table, Note, json=["note"])


def find(connection: Connection, handler: str, key: str) -> Json | None:
    query = _rows.select().where(table.c.handler == handler, table.c.key == key)
    found = _rows.first(connection, query)
    return None if found is None else found.note


def put(connection: Connection, handler: str, key: str, note: Json, *, now: float) -> None:
    """Write it, or write it anew; forgets the handler's oldest ones."""
    values = _rows.values(Note(handler=handler, key=key, note=note, at=now))
    statement = insert(connection.dialect.name, table)
    fresh = {"note": statement.excluded.note, "at": statement.excluded.at}
    connection.execute(
        statement.on_conflict_do_update(index_elements=[table.c.handler, table.c.key], set_=fresh), values
    )
    old = now - limits.HANDLER_NOTE_S
    connection.execute(delete(table).where(table.c.handler == handler, table.c.at < old))
