"""News into the outbox: a row for each handler that hears it, in the transaction that makes it true."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable

import msgspec
from sqlalchemy import Connection

from service import limits
from service.domain.events import Topic
from service.domain.messages import Content
from service.domain.projects import Json, NotifyRule
from service.domain.subscriptions import Subscription, handlers_of
from service.store import new_id, notifications, work
from service.store.notifications import Notification


def announce(
    conn: Connection,
    content: Content,
    *,
    subscriptions: Iterable[Subscription],
    rules: Iterable[NotifyRule],
    known: Collection[str],
    now: float,
    sync: str | None = None,
    run: str | None = None,
) -> list[Notification]:
    """The notifications it made: none for a handler that has one of this key already."""
    made: list[Notification] = []
    for handler in handlers_of(content, subscriptions, rules, known):
        notification = Notification(
            id=new_id(),
            handler=handler,
            event=content.topic,
            key=content.key,
            message=message_of_content(content, now),
            created_at=now,
            project=content.project,
            run=run,
            sync=sync,
        )
        if notifications.add(conn, notification):
            made.append(notification)
            if notification.event is Topic.RUN_PROGRESS:
                notifications.supersede(conn, notification, reason="newer progress took its place")
    for handler in dict.fromkeys(notification.handler for notification in made):
        work.want(conn, "notify", handler, now=now, not_before=now + limits.NOTIFY_AFTER_S)
    return made


def message_of_content(content: Content, now: float) -> Json:
    """`handlers.Message` as plain JSON, but for its id, which is the row's."""
    plain: Json = msgspec.to_builtins(content)
    event = plain.pop("topic")
    at = dt.datetime.fromtimestamp(now, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**plain, "event": event, "at": at}
