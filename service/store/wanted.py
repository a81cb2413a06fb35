"""A note on the connection of what kinds of work the transaction made, so that its commit wakes whoever waits for them."""

from __future__ import annotations

from sqlalchemy import Connection

_KEY = "gitops.work-wanted"


def note(connection: Connection, kind: str) -> None:
    connection.info.setdefault(_KEY, set()).add(kind)


def take(connection: Connection) -> frozenset[str]:
    """The kinds that were noted; they are gone now."""
    return frozenset(connection.info.pop(_KEY, ()))
