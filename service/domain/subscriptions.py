"""Which handlers hear an event: the operator's subscriptions, and the `notify` rules of a project.

A topic pattern is a glob over event names (`run.*`, `*`). Whoever hears `run.failed` also hears `run.timed-out` and
`run.lost`: to people they are one piece of news, the run did not do its work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Protocol

from service.domain.events import Severity, Topic
from service.domain.projects import NotifyRule
from service.domain.refs import short

_ALSO = {Topic.RUN_FAILED: frozenset({Topic.RUN_TIMED_OUT, Topic.RUN_LOST})}
_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.ERROR: 2}


class Subscription(Protocol):
    """One entry of the operator's `notify`."""

    @property
    def to(self) -> str: ...
    @property
    def on(self) -> Sequence[str]: ...
    @property
    def projects(self) -> Sequence[str]: ...
    @property
    def refs(self) -> Sequence[str]: ...
    @property
    def severity(self) -> str: ...


class Rule(Protocol):
    """What an operator's subscription and a project's own rule have in common."""

    @property
    def on(self) -> Sequence[str]: ...
    @property
    def refs(self) -> Sequence[str]: ...
    @property
    def severity(self) -> str: ...


class Heard(Protocol):
    """What of a message decides who hears it."""

    @property
    def topic(self) -> Topic: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def project(self) -> str | None: ...
    @property
    def ref(self) -> str | None: ...


@lru_cache(maxsize=1024)
def topics(pattern: str) -> frozenset[Topic]:
    """The events that a pattern means; empty when it means none."""
    named = {topic for topic in Topic if fnmatchcase(topic, pattern)}
    return frozenset(named.union(*(_ALSO[topic] for topic in named if topic in _ALSO)))


def examples() -> str:
    return ", ".join(sorted({f"{topic.split('.')[0]}.*" for topic in Topic})) + ' and "*"'


def hears(subscription: Subscription, event: Heard) -> bool:
    return _agrees(subscription, event) and _named(subscription.projects, [event.project])


def handlers_of(
    event: Heard,
    subscriptions: Iterable[Subscription],
    rules: Iterable[NotifyRule] = (),
    known: Collection[str] | None = None,
) -> tuple[str, ...]:
    """The names of the handlers that hear `event`, each once, in order.

    `rules` are the project's own; a rule that names a handler outside `known` (the operator's) is not followed:
    `policy.check` has told its author.
    """
    names = [subscription.to for subscription in subscriptions if hears(subscription, event)]
    names += [rule.to for rule in rules if (known is None or rule.to in known) and _agrees(rule, event)]
    return tuple(dict.fromkeys(names))


def _agrees(rule: Rule, event: Heard) -> bool:
    """By event, severity and ref."""
    return (
        any(event.topic in topics(pattern) for pattern in rule.on)
        and _RANK[event.severity] >= _RANK[Severity(rule.severity)]
        and _named(rule.refs, [event.ref, short(event.ref) if event.ref else None])
    )


def _named(patterns: Sequence[str], names: Sequence[str | None]) -> bool:
    """`*` also means events that have no such name (a rejected delivery belongs to no project)."""
    return any(
        pattern == "*" or any(name is not None and fnmatchcase(name, pattern) for name in names) for pattern in patterns
    )
