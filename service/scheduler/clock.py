"""APScheduler, asking `domain.cron` for every due time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from service.domain import cron
from service.errors import CronError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Due:
    """What the clock needs of a schedule; two that are equal need no change."""

    id: str
    cron: str
    timezone: str


class _AskDomain(BaseTrigger):  # type: ignore[misc]  # apscheduler 3 ships no types
    """A trigger without an opinion."""

    def __init__(self, rule: cron.Cron) -> None:
        self.rule = rule

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """The first due time after the previous one, or after now."""
        return self.rule.next_after(max(previous, now) if previous else now)


class Clock:
    """One background thread for all schedules."""

    def __init__(self, on_due: Callable[[str], None]) -> None:
        self._on_due = on_due
        self._shown: dict[str, Due] = {}
        self._lock = threading.Lock()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(2)},
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
        )

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def show(self, schedules: Iterable[Due]) -> None:
        """Make the clock's jobs equal to `schedules`."""
        wanted = {schedule.id: schedule for schedule in schedules}
        with self._lock:
            for gone in self._shown.keys() - wanted.keys():
                with suppress(JobLookupError):  # one without another due time has left by itself
                    self._scheduler.remove_job(gone)
                del self._shown[gone]
            for schedule in wanted.values():
                if self._shown.get(schedule.id) != schedule:
                    self._show(schedule)

    def _show(self, schedule: Due) -> None:
        """A schedule that cannot be read (a time zone that this machine lost) keeps no other from being shown."""
        try:
            rule = cron.parse(schedule.cron, schedule.timezone)
        except CronError as error:
            log.error("a schedule cannot be read", schedule=schedule.id, error=str(error))
            return
        self._scheduler.add_job(
            self._on_due, _AskDomain(rule), args=[schedule.id], id=schedule.id, replace_existing=True
        )
        self._shown[schedule.id] = schedule
