"""When a schedule fires: Debian cron's rules, as cron(8) and crontab(5) of cron 3.0pl1 document them.

The only module that imports cronsim, which knows cron's calendar. It is asked about *naive* local times alone: its
own handling of time zones fires wildcard jobs at minutes that a DST change removed, and loses minutes where the
change is not a whole hour (Lord Howe). What a clock change means is decided here, from cron(8):

- A *fixed* job (neither minute nor hour begins with `*`) whose time a change skips runs right after the change; one
  whose time comes twice runs the first time. Two times that end up at one instant are one fire.
- A *wildcard* job follows the clock on the wall: nothing at times that do not exist, both times at those that
  come twice.
- A change of three hours and more is a correction: what it skips is not made up for.

The grammar is `crontab`'s. What crontab(5) leaves open follows Debian's entry.c: day of month and day of week must
*both* match where one of them begins with `*`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from service.domain import crontab
from service.domain.projects import CatchUp
from service.errors import CronError
from service.limits import CATCH_UP_FIRES, FIRE_ON_TIME_S

Instant = float | datetime

_CORRECTION = timedelta(hours=3)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
# Any day from which to ask whether an expression ever fires. cronsim looks 50 years ahead; the rarest pair of day
# and weekday (29 February across the year 2100) takes 40.
_SOMETIME = datetime(2000, 1, 1)  # noqa: DTZ001  # naive: time on the wall


@dataclass(frozen=True, slots=True)
class Cron:
    """A valid cron expression in a time zone. Made by `parse`."""

    expression: str
    timezone: str

    @property
    def wildcard(self) -> bool:
        minute, hour = self.expression.split()[:2]
        return minute.startswith("*") or hour.startswith("*")

    def next_after(self, instant: Instant) -> datetime | None:
        """The first fire strictly after `instant` (epoch seconds or aware), in UTC; None when there is none."""
        try:
            after, zone = _utc(instant), ZoneInfo(self.timezone)
            return self._next_wildcard(after, zone) if self.wildcard else self._next_fixed(after, zone)
        except (OverflowError, ValueError):
            return None  # the calendar ends with the year 9999

    def _next_fixed(self, after: datetime, zone: ZoneInfo) -> datetime | None:
        for wall in self._walls(after + _offset(after, zone)):
            fire = _first_reached(wall, zone)
            if fire is not None and fire > after:
                return fire
        return None

    def _next_wildcard(self, after: datetime, zone: ZoneInfo) -> datetime | None:
        """While the offset stays, time on the wall is a straight line: walk from one change to the next."""
        offset = _offset(after, zone)
        while (wall := next(self._walls(after + offset), None)) is not None:
            fire = wall.replace(tzinfo=UTC) - offset
            change = _next_change(after, fire, offset, zone)
            if change is None:
                return fire
            after, offset = change - _SECOND, _offset(change, zone)
        return None

    def _walls(self, after: datetime) -> Iterator[datetime]:
        """The naive local times that match, strictly after one."""
        return CronSim(self.expression, after.replace(tzinfo=None))


def parse(expression: str, timezone: str = "UTC") -> Cron:
    """A `Cron`, or CronError that says what is wrong and what to write."""
    plain = crontab.checked(expression)
    if not _known_zone(timezone):
        raise CronError(
            f"time zone {timezone[:100]!r} is unknown", mend="use an IANA name such as UTC or Europe/Berlin"
        )
    try:
        fires = next(CronSim(plain, _SOMETIME), None) is not None
    except CronSimError:  # 30 February; all else was checked
        fires = False
    if not fires:
        raise CronError(f"cron {expression!r} never fires", mend="no month that it names has such a day")
    return Cron(plain, timezone)


def due_between(cron: Cron, after: Instant, until: Instant, cap: int = CATCH_UP_FIRES) -> list[datetime]:
    """The fires in (after, until], at most the first `cap`."""
    return list(islice(_fires(cron, _utc(after), _utc(until)), cap))


def catch_up(
    cron: Cron, evaluated_until: Instant, now: Instant, rule: CatchUp
) -> tuple[tuple[datetime, ...], tuple[datetime, ...]]:
    """What to do about the due times in (evaluated_until, now]: those that fire, those that are missed.

    One fires at most, the latest: with `latest` however late it is, with `none` only while it is on time. Of more
    than CATCH_UP_FIRES due times only a latest part of them is told.
    """
    start, end = _utc(evaluated_until), _utc(now)
    due = due_between(cron, start, end, CATCH_UP_FIRES + 1)
    while len(due) > CATCH_UP_FIRES:
        start = max(start + (end - start) / 2, end - (due[-1] - due[0]))  # as dense as the first ones, or half
        due = due_between(cron, start, end, CATCH_UP_FIRES + 1)
    if not due:
        return (), ()
    if rule is CatchUp.LATEST or (end - due[-1]).total_seconds() <= FIRE_ON_TIME_S:
        return (due[-1],), tuple(due[:-1])
    return (), tuple(due)


def _fires(cron: Cron, after: datetime, until: datetime) -> Iterator[datetime]:
    fire = cron.next_after(after)
    while fire is not None and fire <= until:
        yield fire
        fire = cron.next_after(fire)


def _known_zone(timezone: str) -> bool:
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _utc(instant: Instant) -> datetime:
    """In UTC, whole seconds."""
    moment = instant.astimezone(UTC) if isinstance(instant, datetime) else datetime.fromtimestamp(instant, UTC)
    return moment.replace(microsecond=0)


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _first_reached(wall: datetime, zone: ZoneInfo) -> datetime | None:
    """The first instant at which the clock shows `wall` or jumps over it; None where it is corrected over it."""
    early, late = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early.astimezone(zone).replace(tzinfo=None) == wall:
        return early
    # In a gap the two readings swap: the one with the later offset is the earlier instant.
    if early - late >= _CORRECTION:
        return None
    return _next_change(late, early, _offset(late, zone), zone)


def _next_change(after: datetime, until: datetime, offset: timedelta, zone: ZoneInfo) -> datetime | None:
    """The first instant in (after, until] at which the offset is not `offset`."""
    same, probe = after, min(after + _SECOND, until)
    while _offset(probe, zone) == offset:
        if probe >= until:
            return None
        same, probe = probe, min(probe + _DAY, until)
    while (seconds := (probe - same) // _SECOND) > 1:
        middle = same + _SECOND * (seconds // 2)
        same, probe = (middle, probe) if _offset(middle, zone) == offset else (same, middle)
    return probe
