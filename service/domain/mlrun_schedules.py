"""Schedules where MLRun keeps the clock: what it cannot do is refused in the plan, and a cron line is written so that it means the same there.

MLRun hands the five fields to APScheduler, which is no cron: its Monday is 0, its steps through a week begin on Monday, a range of
weekdays cannot pass Sunday, and where day of month and day of week are both given, both must match. So weekdays are written by name,
one by one, and what only cron can say is refused. MLRun keeps one schedule a workflow, under the workflow's name, in UTC, and starts
nothing late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice, pairwise

from service.domain import cron, crontab
from service.domain.planned import ScheduleSpec
from service.domain.projects import CatchUp, Declaration
from service.errors import PlanError
from service.limits import MLRUN_FIRES_APART_S

UTC = frozenset({"UTC", "Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "Universal", "UCT", "Zulu"})
# As APScheduler calls and counts them.
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_BY_GITOPS = "or let this service keep the clock (schedules.owner: gitops in the settings)"
_DAY_S = 24 * 3600.0
# Days that are looked at for two that follow each other: a year of daily ones, decades of rare ones.
_DAYS = 400


def kept(declaration: Declaration, wanted: Mapping[str, ScheduleSpec]) -> dict[str, ScheduleSpec]:
    """`wanted` as MLRun will keep them. Raises PlanError for the first that it cannot."""
    for spec in wanted.values():
        who = f"the schedule {spec.name!r}"
        _check_place(spec, who, declared=spec.name in declaration.schedules)
        _check_fires(spec, who)
    return {name: replace(spec, timezone="UTC", catch_up=CatchUp.NONE) for name, spec in wanted.items()}


def written(expression: str) -> str:
    """A cron line in the words of MLRun. Raises PlanError where it has none for it."""
    day, weekday = expression.split()[2::2]
    if not day.startswith("*") and not weekday.startswith("*"):
        raise PlanError(
            f"cron {expression!r} names days of the month and of the week: cron fires on either, MLRun where both match",
            mend=f"make two workflows of it, each with one of them, {_BY_GITOPS}",
        )
    *others, weekdays = crontab.items(expression)
    days = sorted({(number - 1) % 7 for numbers in weekdays.values() for number in numbers})
    named = weekday if weekday == "*" else ",".join(_WEEKDAYS[day] for day in days)
    return " ".join((*(",".join(_plain(*item) for item in field.items()) for field in others), named))


def _plain(item: str, numbers: range) -> str:
    """Months have names and no steps there, and a step may not be longer than what it steps through."""
    if len(numbers) > 1 and not any(character.isalpha() for character in item):
        return item
    return ",".join(map(str, numbers))


def _check_place(spec: ScheduleSpec, who: str, *, declared: bool) -> None:
    if spec.name != spec.workflow:
        raise PlanError(
            f"{who} runs the workflow {spec.workflow!r}, and MLRun keeps one schedule a workflow, under its name",
            mend=f"name it {spec.workflow!r} in .gitops.yaml, {_BY_GITOPS}",
        )
    if spec.timezone not in UTC:
        raise PlanError(
            f"{who} is in the time zone {spec.timezone}, and MLRun's clock is UTC",
            mend=f"write its times in UTC, {_BY_GITOPS}",
        )
    if declared and spec.catch_up is not CatchUp.NONE:
        raise PlanError(
            f"{who} catches up (catch_up: {spec.catch_up.value}, which is the default), and MLRun starts nothing late",
            mend=f"write catch_up: none, {_BY_GITOPS}",
        )


def _check_fires(spec: ScheduleSpec, who: str) -> None:
    try:
        written(spec.cron)
    except PlanError as error:
        raise PlanError(f"{who}: {error.what}", mend=error.mend) from None
    closest = min(_apart(spec.cron), default=_DAY_S)
    if closest < MLRUN_FIRES_APART_S:
        raise PlanError(
            f"{who} fires after {closest / 60:.0f} minutes again, and MLRun takes none that fires within "
            f"{MLRUN_FIRES_APART_S / 60:.0f}",
            mend=f"let it fire less often, {_BY_GITOPS}",
        )


def _apart(expression: str) -> Iterator[float]:
    """Seconds between two fires that follow each other, each distance that there is at least once."""
    minutes, hours = ({one for numbers in field.values() for one in numbers} for field in crontab.items(expression)[:2])
    times = sorted(hour * 60 + minute for hour in hours for minute in minutes)
    yield from (60.0 * (later - earlier) for earlier, later in pairwise(times))
    over_night = _DAY_S - 60.0 * (times[-1] - times[0])
    if over_night < MLRUN_FIRES_APART_S and _on_two_days(expression):
        yield over_night


def _on_two_days(expression: str) -> bool:
    """Whether it ever fires on a day and on the next."""
    daily = cron.parse(" ".join(("0", "0", *expression.split()[2:])))

    def midnights() -> Iterator[float]:
        at = daily.next_after(0.0)
        while at is not None:
            yield at.timestamp()
            at = daily.next_after(at)

    return any(later - earlier <= _DAY_S for earlier, later in pairwise(islice(midnights(), _DAYS)))
