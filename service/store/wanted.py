"""A note on the connection that the transaction made work, so that its commit wakes whoever waits for some."""

from __future__ import annotations

from sqlalchemy import Connection

_KEY = "gitops.work-wanted"


def note(connection: Connection) -> None:
    connection.info[_KEY] = True


def take(connection: Connection) -> bool:
    """Was there a note? It is gone now."""
    return bool(connection.info.pop(_KEY, False))
