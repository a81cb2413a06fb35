"""What `cron.parse` takes, and what it says to what it does not."""

from __future__ import annotations

from datetime import datetime

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from service.domain import cron
from service.domain.projects import CatchUp
from service.errors import CronError
from tests.unit.cron.minute_walker import utc


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("* * * * * *", "has 6 fields"),
        ("0 2 * *", "has 4 fields"),
        ("", "has 0 fields"),
        ("0 0 * * 8", "'8' is no day of week. it takes 0-7"),
        ("0 0 0 * *", "'0' is no day of month. it takes 1-31"),
        ("60 * * * *", "'60' is no minute. it takes 0-59"),
        ("0 24 * * *", "'24' is no hour"),
        ("0 0 * 13 *", "'13' is no month"),
        ("0 0 * FOO *", "'FOO' is no month"),
        ("MON 0 * * *", "'MON' is no minute"),
        ("30-10 * * * *", "'30-10' is no minute. it runs backwards; write 30-59,0-10"),
        ("0 22-6 * * *", "write 22-23,0-6"),
        ("0 0 * * FRI-SUN", "'FRI-SUN' is no day of week. it runs backwards; write 5-7,0-0"),
        ("0 0 20-10 * *", "'20-10' is no day of month"),
        ("5-5/0 * * * *", "'5-5/0' is no minute"),
        ("0 0 * MON *", "'MON' is no month"),
        ("*/0 * * * *", "'*/0' is no minute"),
        ("5/15 * * * *", "'5/15' is no minute"),
        ("0 0 L * *", "'L' is no day of month"),
        ("0 0 * * MON#2", "'MON#2' is no day of week"),
        ("0 0 ? * *", "'?' is no day of month"),
        ("1,,2 * * * *", "'' is no minute"),
        ("0 0 30 2 *", "never fires"),
        ("0 0 31 4,6,9,11 *", "never fires"),
        ("@daily", "write '0 0 * * *'"),
        ("@reboot", "nicknames are not taken"),
        ("٣ * * * *", "is no cron expression"),
        ("9" * 5000 + " * * * *", "is no cron expression"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(expression: str, said: str) -> None:
    with pytest.raises(CronError) as caught:
        cron.parse(expression)
    assert said in str(caught.value)
    assert caught.value.mend


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "a\0b", "Europe", "x" * 300]
)
def test_an_unknown_time_zone_is_named(zone: str) -> None:
    with pytest.raises(CronError, match="time zone"):
        cron.parse("0 0 * * *", zone)


@given(st.text(max_size=60), st.text(max_size=20))
def test_anything_else_is_a_cron_error_and_nothing_worse(expression: str, zone: str) -> None:
    for where in ("UTC", zone):
        try:
            parsed = cron.parse(expression, where)
        except CronError:
            continue
        assert cron.parse(parsed.expression, parsed.timezone) == parsed


def test_names_are_taken_in_any_case_and_blanks_do_not_count() -> None:
    assert cron.parse(" 0\t2 * jan-Mar  mon,FRI ") == cron.parse("0 2 * JAN-MAR MON,FRI")


def test_a_leap_day_on_a_weekday_is_found_across_a_century_without_one() -> None:
    parsed = cron.parse("0 0 29 2 */7")
    assert parsed.next_after(utc(2080, 1, 1)) == utc(2088, 2, 29)
    assert parsed.next_after(utc(2088, 3, 1)) == utc(2128, 2, 29)


def test_the_end_of_the_calendar_ends_the_schedule() -> None:
    assert cron.parse("0 0 1 1 *", "Europe/Berlin").next_after(utc(9999, 6, 1)) is None


def test_the_next_fire_is_strictly_later_and_to_the_minute() -> None:
    parsed = cron.parse("0 * * * *")
    assert parsed.next_after(utc(2024, 5, 1, 12).timestamp()) == utc(2024, 5, 1, 13)
    assert parsed.next_after(utc(2024, 5, 1, 12).timestamp() - 0.001) == utc(2024, 5, 1, 12)


def test_a_skipped_day_is_a_correction_and_not_made_up_for() -> None:
    """Samoa had no 30 December 2011: more than three hours."""
    parsed = cron.parse("0 12 30 12 *", "Pacific/Apia")
    assert parsed.next_after(utc(2011, 12, 1)) == utc(2012, 12, 29, 22)


def local(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute)  # noqa: DTZ001  # a clock on a wall


def test_cronsim_still_does_what_we_correct() -> None:
    """If one of these fails, cronsim changed: see whether the correction in `domain.cron` is still needed."""
    from zoneinfo import ZoneInfo

    sao_paulo, lord_howe = ZoneInfo("America/Sao_Paulo"), ZoneInfo("Australia/Lord_Howe")
    # Fires at a time that does not exist.
    skipped = next(CronSim("*/7 0 4 11 *", local(2018, 11, 1).replace(tzinfo=sao_paulo)))
    assert (skipped.hour, skipped.minute) == (0, 0)
    assert cron.parse("*/7 0 4 11 *", "America/Sao_Paulo").next_after(utc(2018, 11, 1)) == utc(2019, 11, 4, 3)
    # Loses half an hour when the clock goes back by half an hour.
    late = next(CronSim("*/10 2 * * *", local(2024, 4, 7, 0, 30).replace(tzinfo=lord_howe)))
    assert (late.hour, late.minute) == (2, 30)
    assert cron.parse("*/10 2 * * *", "Australia/Lord_Howe").next_after(utc(2024, 4, 6, 14)) == utc(2024, 4, 6, 15, 30)
    # Goes back in time when asked in the repeated hour.
    asked = local(2024, 10, 27, 2, 10).replace(tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    assert next(CronSim("30 2 * * *", asked)).timestamp() < asked.timestamp()
    # Reads a range of one with a step as "from there on".
    assert CronSim("5-5/20 * * * *", local(2024, 1, 1)).minutes == {5, 25, 45}


HOURLY = cron.parse("0 * * * *")
NOON = utc(2024, 5, 1, 12)


def test_catching_up_fires_the_latest_and_tells_the_rest() -> None:
    fires, missed = cron.catch_up(HOURLY, utc(2024, 5, 1, 8), utc(2024, 5, 1, 12, 30), CatchUp.LATEST)
    assert fires == (NOON,)
    assert missed == tuple(utc(2024, 5, 1, hour) for hour in (9, 10, 11))


def test_without_catching_up_only_a_fire_on_time_fires() -> None:
    due = NOON.timestamp()
    assert cron.catch_up(HOURLY, due - 60, due + 2, CatchUp.NONE) == ((NOON,), ())
    assert cron.catch_up(HOURLY, due - 60, due + 120, CatchUp.NONE) == ((), (NOON,))


def test_what_was_evaluated_is_not_due_again() -> None:
    for rule in CatchUp:
        assert cron.catch_up(HOURLY, NOON, utc(2024, 5, 1, 12, 59), rule) == ((), ())
        assert cron.catch_up(HOURLY, NOON, utc(2024, 5, 1, 11), rule) == ((), ())


def test_years_of_missed_minutes_are_told_in_part_and_the_latest_fires() -> None:
    fires, missed = cron.catch_up(cron.parse("* * * * *"), utc(2022, 1, 1), NOON, CatchUp.LATEST)
    assert fires == (NOON,)
    assert 500 < len(missed) <= 2_000


@given(
    st.sampled_from(["0 * * * *", "30 2 * * *", "*/15 2 * * *"]),
    st.integers(0, 4 * 86400),
    st.lists(st.integers(1, 86400), min_size=1, max_size=6),
)
def test_looking_often_or_seldom_no_due_time_is_lost_or_told_twice(
    expression: str, first: int, gaps: list[int]
) -> None:
    parsed = cron.parse(expression, "Europe/Berlin")
    begin = utc(2024, 3, 29).timestamp() + first
    told, until = [], begin
    for gap in gaps:
        fires, missed = cron.catch_up(parsed, until, until + gap, CatchUp.LATEST)
        told += [*missed, *fires]
        until += gap
    assert told == cron.due_between(parsed, begin, until)
