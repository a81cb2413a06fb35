"""The notifier's front door: the handlers of these settings, and a queue for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pydantic import ValidationError

from handlers import KINDS, Handler, Message
from service.errors import NotFound
from service.notifier.deliver import Queue
from service.settings import HandlerSettings, Settings
from service.settings.problems import Problem, problems_of, settings_error
from service.store import Store


class Notifier:
    """Raises SettingsError for a handler of unknown kind or with options that it does not understand."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._handlers = make_handlers(settings.handlers)
        self._queues: dict[str, Queue] = {}

    def deliver(self, handler: str, check: Callable[[], None] = lambda: None) -> float | None:
        """The step of `notify` work, whose key is a handler's name; when to be called again, or None.

        `check` raises when the work is no longer ours; it is asked before every message.
        """
        queue = self._queues.setdefault(handler, Queue(handler, self._handlers.get(handler), self._store))
        return queue.deliver(check)

    def test(self, name: str, message: Message) -> None:
        """Send `message` at once. Raises NotFound, or the handler's Undelivered or Rejected."""
        handler = self._handlers.get(name)
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            raise NotFound(f"there is no handler {name!r}", mend=f"handlers has: {known}")
        handler.send(message)


def make_handlers(settings: Mapping[str, HandlerSettings]) -> dict[str, Handler]:
    """Every handler, or one SettingsError with all that is wrong with any."""
    made: dict[str, Handler] = {}
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


__all__ = ["Notifier", "make_handlers"]
