"""The outbox: one row a message and handler, written with what it tells about, sent afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from service import limits
from service.domain.events import Topic
from service.domain.projects import Json
from service.domain.states import NotificationState
from service.store.models import notifications as table
from service.store.sql import Rows, known


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """`key` says what it tells, without times: a handler hears each key once."""

    id: str
    handler: str
    event: Topic
    key: str
    message: Json
    created_at: float
    project: str | None = None
    run: str | None = None
    sync: str | None = None
    state: NotificationState = NotificationState.PENDING
    reason: str = ""
    attempts: int = 0
    sent_at: float | None = None


_rows = Rows(table, Notification, json=["message"])
_newest_pending = select(func.max(table.c.id)).where(
    table.c.state == NotificationState.PENDING, table.c.handler == bindparam("of")
)
_count_attempt = update(table).where(table.c.id == bindparam("of")).values(attempts=table.c.attempts + 1)


def add(connection: Connection, notification: Notification) -> Notification | None:
    """None when the handler has a notification of this key already."""
    return notification if _rows.add(connection, notification) else None


def get(connection: Connection, notification_id: str) -> Notification:
    """Raises NotFound."""
    return known(find(connection, notification_id), f"notification {notification_id}")


def find(connection: Connection, notification_id: str) -> Notification | None:
    return _rows.find(connection, id=notification_id)


def page(
    connection: Connection,
    *,
    limit: int = limits.PAGE_DEFAULT,
    cursor: str | None = None,
    handler: str | None = None,
    event: Topic | None = None,
    project: str | None = None,
    run: str | None = None,
    sync: str | None = None,
    state: NotificationState | None = None,
) -> tuple[list[Notification], str | None]:
    return _rows.page(
        connection,
        limit=limit,
        cursor=cursor,
        handler=handler,
        event=event,
        project=project,
        run=run,
        sync=sync,
        state=state,
    )


def pending(connection: Connection) -> list[Notification]:
    """What has not left, oldest first."""
    return _rows.those(connection, "id", state=NotificationState.PENDING)


def pending_of(connection: Connection, handler: str, *, limit: int) -> list[Notification]:
    """What one handler has not sent: what was tried least first, then in order."""
    pending = {"state": NotificationState.PENDING, "handler": handler}
    return _rows.those(connection, "attempts", "id", limit=limit, **pending)


def newest_pending_of(connection: Connection, handler: str) -> str | None:
    """The id of the newest that one handler has not sent."""
    return connection.execute(_newest_pending, {"of": handler}).scalar()


def supersede(connection: Connection, newer: Notification, *, reason: str) -> None:
    """Of what tells the same handler of the same event of the same run, only `newer` is still worth sending."""
    where = (table.c.handler == newer.handler, table.c.run == newer.run, table.c.event == newer.event)
    waiting = (table.c.state == NotificationState.PENDING, table.c.id != newer.id)
    _rows.set_where(connection, [*where, *waiting], state=NotificationState.SUPERSEDED, reason=reason)


def mark_sent(connection: Connection, notification_id: str, *, now: float) -> None:
    _rows.set(connection, {"id": notification_id}, state=NotificationState.SENT, sent_at=now, reason="")


def mark_attempt(connection: Connection, notification_id: str, *, reason: str) -> None:
    """It did not leave this time; it will be tried again."""
    if _rows.set(connection, _waiting(notification_id), reason=reason):
        connection.execute(_count_attempt, {"of": notification_id})


def mark_failed(connection: Connection, notification_id: str, *, reason: str) -> None:
    """Given up."""
    _rows.set(connection, _waiting(notification_id), state=NotificationState.FAILED, reason=reason)


def _waiting(notification_id: str) -> dict[str, Any]:
    """Nobody who was slow makes unsent what another has sent."""
    return {"id": notification_id, "state": NotificationState.PENDING}


def reset(connection: Connection, notification_id: str) -> bool:
    """To be sent once more, because somebody asked; False when there is none."""
    fresh = {"attempts": 0, "reason": "", "sent_at": None}
    return _rows.set(connection, {"id": notification_id}, state=NotificationState.PENDING, **fresh) == 1
