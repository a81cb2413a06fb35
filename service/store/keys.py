"""Secrets that the service makes for itself: what it signs its capabilities with. Every replica has the same."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, select

from service.store.models import keys as table
from service.store.sql import insert

_BYTES = 32


def key(connection: Connection, name: str) -> bytes:
    """The secret of that name, made when it is first asked for: 32 random bytes."""
    connection.execute(
        insert(connection.dialect.name, table).on_conflict_do_nothing(),
        {"name": name, "value": secrets.token_bytes(_BYTES)},
    )
    known = find(connection, name)
    assert known is not None
    return known


def find(connection: Connection, name: str) -> bytes | None:
    """The secret of that name, if it was made."""
    found: bytes | None = connection.execute(select(table.c.value).where(table.c.name == name)).scalar_one_or_none()
    return found if found is None else bytes(found)
