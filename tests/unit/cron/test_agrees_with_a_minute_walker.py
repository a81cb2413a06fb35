"""`domain.cron` against cron's manual pages, minute by minute, over random expressions and the clock changes of Berlin,
Lord Howe (half an hour) and Sao Paulo 2018 (at midnight)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from service.domain import cron
from service.errors import CronError
from tests.unit.cron.minute_walker import BOUNDS, DAYS, MONTHS, utc, walk

BERLIN, LORD_HOWE, SAO_PAULO = "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo"
# A zone and the instant at which its clock changes.
CHANGES = {
    "berlin-gap": (BERLIN, utc(2024, 3, 31, 1)),
    "berlin-fold": (BERLIN, utc(2024, 10, 27, 1)),
    "lord-howe-fold": (LORD_HOWE, utc(2024, 4, 6, 15)),
    "lord-howe-gap": (LORD_HOWE, utc(2024, 10, 5, 15, 30)),
    "sao-paulo-fold": (SAO_PAULO, utc(2018, 2, 18, 2)),
    "sao-paulo-gap": (SAO_PAULO, utc(2018, 11, 4, 3)),
}
AROUND = timedelta(hours=27)


def _items(field: int) -> st.SearchStrategy[str]:
    low, high = BOUNDS[field]
    names = {3: MONTHS, 4: DAYS}.get(field, [])
    # Hours and days near the clock changes, so that most expressions say something about them.
    near = {1: [0, 1, 2, 3, 23], 2: [3, 4, 5, 6, 7, 17, 18, 26, 27, 30, 31]}.get(field, range(low, high + 1))
    numbers = st.one_of(st.sampled_from(near), st.integers(low, high))

    def written(number: int) -> st.SearchStrategy[str]:
        at = number - low
        return st.sampled_from([str(number), names[at], names[at].lower()]) if at < len(names) else st.just(str(number))

    spans = st.tuples(numbers, numbers).map(sorted).flatmap(lambda ends: st.tuples(*map(written, ends))).map("-".join)
    steps = st.integers(1, high - low + 2).map(lambda step: f"/{step}")
    return st.one_of(
        numbers.flatmap(written), spans, st.just("*"), st.tuples(st.one_of(st.just("*"), spans), steps).map("".join)
    )


def _fields(field: int) -> st.SearchStrategy[str]:
    return st.lists(_items(field), min_size=1, max_size=3).map(",".join)


def _or_any(field: int) -> st.SearchStrategy[str]:
    return st.one_of(st.just("*"), st.just("*"), _fields(field))


expressions = st.tuples(_fields(0), _fields(1), _or_any(2), _or_any(3), _or_any(4)).map(" ".join)
changes = st.sampled_from(sorted(CHANGES))


def _parsed(expression: str, zone: str) -> cron.Cron:
    try:
        return cron.parse(expression, zone)
    except CronError as error:
        assume("never fires" not in error.what)
        raise


@settings(max_examples=400, deadline=None)
@given(expressions, changes)
@example("30 2 * * *", "berlin-gap")
@example("30 2 * * *", "berlin-fold")
@example("0,30 2,3 * * *", "berlin-gap")
@example("*/10 2 * * *", "lord-howe-fold")
@example("*/10 2 * * *", "lord-howe-gap")
@example("15 2 * * *", "lord-howe-gap")
@example("45 1 * * *", "lord-howe-fold")
@example("*/7 0 4 11 *", "sao-paulo-gap")
@example("30 0 * * *", "sao-paulo-gap")
@example("30 23 * * *", "sao-paulo-fold")
@example("15 * * * *", "sao-paulo-fold")
@example("5-5/2 1-1/3 * 10-OCT/2 0-SUN/2", "berlin-fold")
def test_every_fire_around_a_clock_change(expression: str, change: str) -> None:
    zone, at = CHANGES[change]
    start, end = at - AROUND, at + AROUND
    assert cron.due_between(_parsed(expression, zone), start, end, cap=10_000) == walk(expression, zone, start, end)


@settings(max_examples=400, deadline=None)
@given(expressions, changes, st.integers(-300, 300), st.integers(0, 59))
def test_the_next_fire_from_any_second_near_a_clock_change(
    expression: str, change: str, minutes: int, seconds: int
) -> None:
    zone, at = CHANGES[change]
    after = at + timedelta(minutes=minutes, seconds=seconds)
    end = at + AROUND
    following = [fire for fire in walk(expression, zone, at - AROUND, end) if fire > after]
    found = _parsed(expression, zone).next_after(after)
    if following:
        assert found == following[0]
    else:
        assert found is None or found > end


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        (BERLIN, utc(2024, 2, 25), utc(2024, 4, 20)),
        (LORD_HOWE, utc(2024, 9, 20), utc(2024, 11, 20)),
        (SAO_PAULO, utc(2018, 2, 1), utc(2018, 3, 20)),
        (SAO_PAULO, utc(2018, 10, 20), utc(2018, 12, 1)),
    ],
)
@pytest.mark.parametrize(
    "expression",
    ["30 2 * * *", "0 0 31 * *", "15 3 1-7 * MON", "*/20 0-3 */2 * SUN", "59 23 29 2,10 *", "0 1 */30 MAR-NOV 1-5/2"],
)
def test_every_fire_of_a_season(zone: str, start: datetime, end: datetime, expression: str) -> None:
    assert cron.due_between(cron.parse(expression, zone), start, end, cap=10_000) == walk(expression, zone, start, end)


def test_the_walker_is_told_apart_from_a_clock_that_knows_no_changes() -> None:
    zone, at = CHANGES["berlin-gap"]
    assert walk("30 2 * * *", zone, at - timedelta(hours=2), at + timedelta(hours=2)) == [at]
    zone, at = CHANGES["berlin-fold"]
    assert walk("30 2 * * *", zone, at - timedelta(hours=2), at + timedelta(hours=2)) == [at - timedelta(minutes=30)]
    assert len(walk("30 * * * *", zone, at - timedelta(hours=2), at + timedelta(hours=2))) == 4
