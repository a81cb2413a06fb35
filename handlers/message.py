"""What a handler is given, and how it says that it failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One event for people.

    `id` is the same at every attempt: a receiver that saw it may drop it. `key` is equal for messages that say
    the same thing and holds no time. `title` is one line; `event` a name such as `run.failed`; `at` RFC 3339.
    `commit` has sha, author, subject, url. `run` has id, workflow, state, reason, duration_s, results, error (type,
    message, traceback, step), steps (each name, state, duration_s; `steps_left_out` counts those before) and log_tail, the
    end of what it printed. `links` may have run, log, sync, commit, diff.
    """

    id: str
    key: str
    event: str
    severity: str
    at: str
    title: str
    project: str | None = None
    repository: str | None = None
    ref: str | None = None
    commit: dict[str, Any] | None = None
    run: dict[str, Any] | None = None
    details: dict[str, Any] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


class Undelivered(Exception):
    """It did not leave this time. `retry_after` is in seconds, where the other side said so."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Rejected(Exception):
    """The other side will never take this message as it is configured."""


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`, `2 h 7 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
