"""cron as its manual pages describe it, by brute force: look at the clock every minute, as the daemon does.

Written from crontab(5) and cron(8) of Debian's cron 3.0pl1 (bookworm), not from `service.domain.cron`:

- crontab(5): "The time and date fields are: minute 0-59, hour 0-23, day of month, month (or names), day of week 0-7
  (0 or 7 is Sun, or use names). A field may be an asterisk (*), which always stands for first-last. Ranges of numbers
  are allowed [...] inclusive. Lists are allowed. Step values can be used in conjunction with ranges. [...] Steps are
  also permitted after an asterisk. [...] If both fields [day of month, day of week] are restricted (ie, aren't *), the
  command will be run when either field matches the current time."
- cron(8): "Special considerations exist when the clock is changed by less than 3 hours, for example at the beginning
  and end of daylight savings time. If the time has moved forwards, those jobs which would have run in the time that
  was skipped will be run soon after the change. Conversely, if the time has moved backwards by less than 3 hours,
  those jobs that fall into the repeated time will not be re-run. Only jobs that run at a particular time (not
  specified as @hourly, nor with '*' in the hour or minute specifier) are affected. Jobs which are specified with
  wildcards are run based on the new time immediately. Clock changes of more than 3 hours are considered to be
  corrections to the clock, and the new time is used immediately."

Where the pages are silent, the daemon's source speaks (entry.c, cron.c): a field counts as `*` when it begins with one, so
`*/2` is not "restricted".
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
BOUNDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # a clock on a wall
THREE_HOURS = 3 * 60
# minute of the wall clock since 1970, and its fields
Wall = tuple[int, int, int, int, int, int]


class Job:
    def __init__(self, expression: str) -> None:
        fields = expression.upper().split()
        assert len(fields) == 5
        self.sets = [_set(field, *bounds) for field, bounds in zip(fields, BOUNDS, strict=True)]
        self.minutes, self.hours, self.days, self.months, self.weekdays = self.sets
        if 7 in self.weekdays:
            self.weekdays.add(0)
        self.either = not fields[2].startswith("*") and not fields[4].startswith("*")
        self.wild = fields[0].startswith("*") or fields[1].startswith("*")

    def matches(self, wall: Wall) -> bool:
        _, minute, hour, day, month, weekday = wall
        if minute not in self.minutes or hour not in self.hours or month not in self.months:
            return False
        if self.either:
            return day in self.days or weekday in self.weekdays
        return day in self.days and weekday in self.weekdays


def walk(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """The minutes in (start, end] at which cron starts the job, each once."""
    job, began = Job(expression), start - timedelta(hours=6)  # the daemon was up before
    clock = _clock(zone, began, end)
    virtual = clock[0][1][0] - 1
    fires = []
    for instant, wall in clock:
        passed = wall[0] - virtual
        if job.wild or passed == 1:
            fired = job.matches(wall)
        elif 0 < passed <= THREE_HOURS:
            fired = any(job.matches(_wall(EPOCH + timedelta(minutes=m))) for m in range(virtual + 1, wall[0] + 1))
        elif -THREE_HOURS < passed <= 0:
            fired = False
        else:
            fired = job.matches(wall)
        if passed > 0 or passed <= -THREE_HOURS:
            virtual = wall[0]
        if fired and instant > start:
            fires.append(instant)
    return fires


@lru_cache(maxsize=32)
def _clock(zone: str, start: datetime, end: datetime) -> list[tuple[datetime, Wall]]:
    """Every minute and what the clock on the wall shows then."""
    return list(_minutes(ZoneInfo(zone), start, end))


def _minutes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[tuple[datetime, Wall]]:
    instant = start.replace(second=0, microsecond=0)
    while instant <= end:
        yield instant, _wall(instant.astimezone(zone).replace(tzinfo=None))
        instant += timedelta(minutes=1)


def _wall(local: datetime) -> Wall:
    minute = (local - EPOCH) // timedelta(minutes=1)
    return minute, local.minute, local.hour, local.day, local.month, local.isoweekday() % 7


def _set(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, dash, last = span.partition("-")
        begin = low if span == "*" else _number(first, low)
        finish = high if span == "*" else _number(last, low) if dash else begin
        found |= set(range(begin, finish + 1, int(step or 1)))
    return found


def _number(text: str, low: int) -> int:
    names = MONTHS if low == 1 else DAYS
    return names.index(text) + low if text in names else int(text)


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)
