"""The queue of one handler: its waiting messages are sent one after the other until one fails.

A message that could not leave goes behind those that were tried less often, so that it never blocks them; while a
handler fails, only one message a pause is tried. At least once: a crash between sending and remembering sends again, and
`Message.id` tells the receiver so.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog
from sqlalchemy import Connection

from handlers import Handler, Message, Rejected, Undelivered
from service import limits
from service.store import Store, notifications, work
from service.store.notifications import Notification

log = structlog.get_logger(__name__)

# Messages a call sends before it lets other work have its thread.
_BATCH = 20


class Queue:
    """`check` is asked before every message and raises when the work is no longer ours."""

    def __init__(self, name: str, handler: Handler | None, store: Store) -> None:
        self._name = name
        self._handler = handler
        self._store = store
        self._failures = 0

    def deliver(self, check: Callable[[], None]) -> float | None:
        """Send what waits; when to be called again, or None when nothing waits."""
        with self._store.read() as conn:
            waiting = notifications.pending_of(conn, self._name, limit=_BATCH + 1)
        for notification in waiting[:_BATCH]:
            check()
            pause_s = self._try(notification)
            if pause_s is not None:
                return self._store.now() + pause_s
        return self._store.now() if len(waiting) > _BATCH else None

    def _try(self, notification: Notification) -> float | None:
        """None when its message is settled, sent or given up; else how many seconds the handler is to rest."""
        if self._handler is None:
            self._give_up(notification, f"there is no handler {self._name!r} any more")
            return None
        try:
            self._handler.send(message_of(notification))
        except Rejected as error:
            self._failures = 0
            self._give_up(notification, str(error))
            return None
        except Undelivered as error:
            return self._failed(notification, str(error), error.retry_after)
        except Exception as error:  # noqa: BLE001 - a handler's bug is its own trouble
            return self._failed(notification, _bug(error), None)
        self._failures = 0
        self._write(lambda conn: notifications.mark_sent(conn, notification.id, now=self._store.now()))
        return None

    def _failed(self, notification: Notification, reason: str, retry_after: float | None) -> float:
        self._failures += 1
        last = notification.attempts + 1 >= limits.NOTIFY_ATTEMPTS
        if last:
            self._give_up(notification, f"{reason} ({limits.NOTIFY_ATTEMPTS} attempts)")
        else:
            log.warning("notification did not leave", handler=self._name, id=notification.id, reason=reason)
            self._write(lambda conn: notifications.mark_attempt(conn, notification.id, reason=reason))
        return max(retry_after or 0.0, work.backoff(self._failures, jitter=random.random()))  # noqa: S311 - no secret

    def _give_up(self, notification: Notification, reason: str) -> None:
        log.error("notification given up", handler=self._name, id=notification.id, reason=reason)
        self._write(lambda conn: notifications.mark_failed(conn, notification.id, reason=reason))

    def _write(self, change: Callable[[Connection], None]) -> None:
        self._store.write(change)


def message_of(notification: Notification) -> Message:
    """The message as the handler gets it; its id is the notification's."""
    return msgspec.convert({**notification.message, "id": notification.id}, Message)


def _bug(error: Exception) -> str:
    """What an error that no handler should raise may say: its type and place, since its text may quote a secret."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"the handler has a bug: {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
