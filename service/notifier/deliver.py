"""The queue of one handler: its waiting messages are sent one after the other until one fails.

A message that could not leave goes behind those that were tried less often, so that it never blocks them; while a
handler fails, only one message a pause is tried. Patience that the other side asked for is had, whatever is announced
meanwhile. At least once: a crash between sending and remembering sends again, and
`Message.id` tells the receiver so. A handler with a memory can do better: it is told which messages may have left
already, and looks.

That costs no write. Work has a fence that every claim moves by one, so a queue sees whether it held all claims since its
last one. If it did not, another process, or this one before it died, may have sent any message that waits now; what is
announced later can only be sent by us.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog
from sqlalchemy import Connection

from handlers import Handler, Message, Rejected, Remembering, Undelivered
from service import limits
from service.faults import point
from service.notifier.memory import Notes
from service.store import Store, notifications, work
from service.store.notifications import Notification

log = structlog.get_logger(__name__)

# Messages a call sends before it lets other work have its thread.
_BATCH = 20


class Queue:
    """`check` is asked before every message and raises when the work is no longer ours."""

    def __init__(self, name: str, handler: Handler | Remembering | None, store: Store) -> None:
        self._name = name
        self._handler = handler
        self._store = store
        self._failures = 0
        self._patient_until = 0.0
        self._fence: int | None = None
        self._doubtful = ""

    def deliver(self, check: Callable[[], None], fence: int | None = None) -> float | None:
        """Send what waits; when to be called again, or None when nothing waits. `fence` is that of the claim."""
        with self._store.read() as conn:
            self._look_back(conn, fence)
            waiting = notifications.pending_of(conn, self._name, limit=_BATCH + 1)
        if self._handler is None and waiting:
            at = self._store.others_may_know(max(one.created_at for one in waiting))
            if at is not None:
                return at
        if waiting and self._patient_until > self._store.now():
            self._fence = fence
            return self._patient_until
        for notification in waiting[:_BATCH]:
            check()
            pause_s = self._try(notification)
            if pause_s is not None:
                break
        else:
            pause_s = 0.0 if len(waiting) > _BATCH else None
        self._fence = fence  # only here: what ended by an exception may have sent something
        return None if pause_s is None else self._store.now() + pause_s

    def test(self, message: Message) -> None:
        """Send it at once. Raises Undelivered, Rejected."""
        assert self._handler is not None
        notes = Notes(self._store, self._name)
        _send(self._handler, message, notes)
        if notes.changed:
            self._write(notes.keep)

    def _look_back(self, conn: Connection, fence: int | None) -> None:
        """After a gap in the claims, whatever waits now may have left before."""
        followed = fence is not None and self._fence is not None and fence == self._fence + 1
        self._fence = None
        if not followed:
            self._doubtful = max(self._doubtful, notifications.newest_pending_of(conn, self._name) or "")

    def _try(self, notification: Notification) -> float | None:
        """None when its message is settled, sent or given up; else how many seconds the handler is to rest."""
        notes = Notes(self._store, self._name, doubt=notification.id <= self._doubtful)
        if self._handler is None:
            self._give_up(notification, f"there is no handler {self._name!r} any more", notes)
            return None
        try:
            point("notifier.before-send")
            _send(self._handler, message_of(notification), notes)
        except Rejected as error:
            self._failures = 0
            self._give_up(notification, str(error), notes)
            return None
        except Undelivered as error:
            return self._failed(notification, str(error), error.retry_after, notes)
        except Exception as error:  # noqa: BLE001 - a handler's bug is its own trouble
            return self._failed(notification, _bug(error), None, notes)
        self._failures = 0
        point("notifier.before-record")
        self._settle(lambda conn: notifications.mark_sent(conn, notification.id, now=self._store.now()), notes)
        return None

    def _failed(self, notification: Notification, reason: str, retry_after: float | None, notes: Notes) -> float:
        self._failures += 1
        self._patient_until = self._store.now() + (retry_after or 0.0)
        last = notification.attempts + 1 >= limits.NOTIFY_ATTEMPTS
        if last:
            self._give_up(notification, f"{reason} ({limits.NOTIFY_ATTEMPTS} attempts)", notes)
        else:
            log.warning("notification did not leave", handler=self._name, id=notification.id, reason=reason)
            self._settle(lambda conn: notifications.mark_attempt(conn, notification.id, reason=reason), notes)
        return max(retry_after or 0.0, work.backoff(self._failures, jitter=random.random()))  # noqa: S311 - no secret

    def _give_up(self, notification: Notification, reason: str, notes: Notes) -> None:
        log.error("notification given up", handler=self._name, id=notification.id, reason=reason)
        self._settle(lambda conn: notifications.mark_failed(conn, notification.id, reason=reason), notes)

    def _settle(self, mark: Callable[[Connection], None], notes: Notes) -> None:
        """What became of the message and what the handler remembers of it, in one write."""

        def change(conn: Connection) -> None:
            mark(conn)
            notes.keep(conn)

        self._write(change)

    def _write(self, change: Callable[[Connection], None]) -> None:
        self._store.write(change)


def _send(handler: Handler | Remembering, message: Message, notes: Notes) -> None:
    if isinstance(handler, Remembering):
        handler.send(message, notes)
    else:
        handler.send(message)


def message_of(notification: Notification) -> Message:
    """The message as the handler gets it; its id is the notification's."""
    return msgspec.convert({**notification.message, "id": notification.id}, Message)


def _bug(error: Exception) -> str:
    """What an error that no handler should raise may say: its type and place, since its text may quote a secret."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"the handler has a bug: {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
