"""What lists answer: items, and where the next page begins."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import Field

from service.web.api.answers import (
    Answer,
    Audit,
    Delivery,
    Fire,
    Handler,
    Notification,
    Project,
    Repository,
    Revision,
    Run,
    Schedule,
    Sync,
)

T = TypeVar("T")


class Page(Answer, Generic[T]):
    """Part of a list."""

    items: list[T] = Field(description="The entries, newest first where nothing else is said.")
    next: str | None = Field(default=None, description="The `cursor` of the next page; null on the last.")


class Deliveries(Page[Delivery]):
    """Deliveries, newest first."""


class Repositories(Page[Repository]):
    """Repositories, by name."""


class Projects(Page[Project]):
    """Projects, by name."""


class Revisions(Page[Revision]):
    """Revisions, newest first."""


class Syncs(Page[Sync]):
    """Syncs, newest first."""


class Runs(Page[Run]):
    """Runs, newest first."""


class Schedules(Page[Schedule]):
    """Schedules, newest first."""


class Fires(Page[Fire]):
    """Fires of a schedule, the latest due time first."""


class Notifications(Page[Notification]):
    """Notifications, newest first."""


class Handlers(Page[Handler]):
    """Handlers, by name."""


class AuditLog(Page[Audit]):
    """Requests that acted, newest first."""
