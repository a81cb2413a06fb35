"""The notifier's front door: the handlers of these settings, and a queue for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from pydantic import ValidationError
from sqlalchemy import Connection

from handlers import KINDS, Closes, Handler, Message, Remembering
from service.domain.messages import Content
from service.domain.projects import NotifyRule
from service.errors import NotFound
from service.notifier import outbox
from service.notifier.deliver import Queue
from service.settings import HandlerSettings, Settings
from service.settings.problems import Problem, problems_of, settings_error
from service.store import Store, new_id, notifications, work
from service.store.notifications import Notification


class Notifier:
    """Raises SettingsError for a handler of unknown kind or with options that it does not understand."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._handlers = make_handlers(settings.handlers)
        self._queues: dict[str, Queue] = {}

    def announce(
        self,
        conn: Connection,
        content: Content,
        *,
        rules: Iterable[NotifyRule] = (),
        sync: str | None = None,
        run: str | None = None,
    ) -> list[Notification]:
        """Write `content` into the outbox for everybody who hears it, in the caller's transaction.

        `rules` are those of the project's declaration; `sync` and `run` what it tells about. What a handler was told
        before (by the content's key) it is not told again.
        """
        return outbox.announce(
            conn,
            content,
            subscriptions=self._settings.notify,
            rules=rules,
            known=self._handlers.keys(),
            now=self._store.now(),
            sync=sync,
            run=run,
        )

    def resend(self, conn: Connection, notification: str) -> None:
        """Let it wait to be sent (again), with all its attempts before it. Raises NotFound."""
        row = notifications.get(conn, notification)
        notifications.reset(conn, notification)
        work.want(conn, "notify", row.handler, now=self._store.now())

    def deliver(self, handler: str, check: Callable[[], None] = lambda: None, fence: int | None = None) -> float | None:
        """The step of `notify` work, whose key is a handler's name; when to be called again, or None.

        `check` raises when the work is no longer ours; it is asked before every message. `fence` is that of the claim.
        """
        return self._queue(handler).deliver(check, fence)

    def test(self, name: str, message: Message) -> None:
        """Send `message` at once. Raises NotFound, or the handler's Undelivered or Rejected."""
        if name not in self._handlers:
            known = ", ".join(sorted(self._handlers))
            raise NotFound(f"there is no handler {name!r}", mend=f"handlers has: {known}")
        self._queue(name).test(message)

    def close(self) -> None:
        """Let all connections go; whoever still sends makes new ones."""
        for handler in self._handlers.values():
            if isinstance(handler, Closes):
                handler.close()

    def _queue(self, handler: str) -> Queue:
        return self._queues.setdefault(handler, Queue(handler, self._handlers.get(handler), self._store))


def a_test_message(handler: str) -> Message:
    """What is sent to see whether it arrives."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    title = "a test message of mlrun-gitops"
    return Message(id=new_id(), key=f"test/{handler}", event="test", severity="info", at=at, title=title)


def make_handlers(settings: Mapping[str, HandlerSettings]) -> dict[str, Handler | Remembering]:
    """Every handler, or one SettingsError with all that is wrong with any."""
    made: dict[str, Handler | Remembering] = {}
    problems: list[Problem] = []
    for name, one in settings.items():
        kind = KINDS.get(one.kind)
        if kind is None:
            known = ", ".join(sorted(KINDS))
            problems.append(
                Problem(f"handlers.{name}.kind", "is no kind of handler", f"there are: {known}", repr(one.kind))
            )
            continue
        try:
            made[name] = kind(one.options)
        except ValidationError as error:
            problems.extend(_under(name, problems_of(error, kind.model)))
    if problems:
        raise settings_error("handlers", problems)
    return made


def _under(name: str, problems: Iterable[Problem]) -> Iterable[Problem]:
    """Keys as they stand in config.yaml, and no values: they may be secrets."""
    for problem in problems:
        yield Problem(f"handlers.{name}.{problem.key}", problem.what, problem.mend)


__all__ = ["Notifier", "a_test_message", "make_handlers"]
