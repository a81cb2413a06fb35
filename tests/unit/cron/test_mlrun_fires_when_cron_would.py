"""What `domain.mlrun_schedules` writes for MLRun, read by APScheduler as MLRun's server does, fires when cron would, and nothing else is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from service.domain import cron, mlrun_schedules
from service.domain.plan import ScheduleSpec
from service.domain.projects import CatchUp, Declaration, ScheduleRule
from service.errors import CronError, PlanError
from service.limits import MLRUN_FIRES_APART_S
from tests.unit.cron.test_agrees_with_a_minute_walker import expressions

SOMEDAY = datetime(2024, 2, 27, 22, 31, tzinfo=UTC)
_LOOKS = 40


def _fires_of_mlrun(written: str, after: datetime, count: int) -> list[datetime]:
    minute, hour, day, month, weekday = written.split()
    trigger = CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=weekday, timezone=UTC)
    found: list[datetime] = []
    # As APScheduler's scheduler asks: from a moment after the last fire.
    while len(found) < count and (fire := trigger.get_next_fire_time(None, after + timedelta(seconds=1))) is not None:
        found.append(fire)
        after = fire
    return found


def _fires_of_cron(expression: str, after: datetime, count: int) -> list[datetime]:
    rule, found = cron.parse(expression), list[datetime]()
    while len(found) < count and (fire := rule.next_after(after)) is not None:
        found.append(fire)
        after = fire
    return found


@given(expressions)
@settings(max_examples=300, deadline=None)
def test_what_is_written_for_mlrun_fires_when_cron_does(expression):
    try:
        plain = cron.parse(expression).expression
    except CronError:
        assume(False)
    try:
        written = mlrun_schedules.written(plain)
    except PlanError as error:
        assert "days of the month and of the week" in error.what
        return
    assert _fires_of_mlrun(written, SOMEDAY, 12) == _fires_of_cron(plain, SOMEDAY, 12)


@given(expressions, st.integers(0, 28))
@settings(max_examples=200, deadline=None)
def test_what_is_kept_never_fires_within_ten_minutes(expression, days):
    try:
        plain = cron.parse(expression).expression
    except CronError:
        assume(False)
    fires = _fires_of_cron(plain, SOMEDAY + timedelta(days=days), _LOOKS)
    closest = min(((later - earlier).total_seconds() for earlier, later in pairwise(fires)), default=1e9)
    try:
        mlrun_schedules.kept(Declaration(), {"w": ScheduleSpec(name="w", workflow="w", cron=plain)})
    except PlanError:
        return
    assert closest >= MLRUN_FIRES_APART_S


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        ("0 2 * * 1-5", "0 2 * * mon,tue,wed,thu,fri"),
        ("0 2 * * 0", "0 2 * * sun"),
        ("0 2 * * 7", "0 2 * * sun"),
        ("0 2 * * 5-7", "0 2 * * fri,sat,sun"),
        ("0 2 * * */2", "0 2 * * tue,thu,sat,sun"),
        ("*/15 8-18/2 * * *", "*/15 8-18/2 * * *"),
        ("0 */24 * jan-jun/2 *", "0 0 * 1,3,5 *"),
        ("30 4 1,15 MAR *", "30 4 1,15 3 *"),
        ("0 3 */2 * mon", "0 3 */2 * mon"),
    ],
)
def test_weekdays_are_written_by_name(expression, written):
    assert mlrun_schedules.written(cron.parse(expression).expression) == written


def _kept(**rule):
    given_ = {"workflow": "nightly", "cron": "0 2 * * *", "catch_up": CatchUp.NONE, **rule}
    name = given_.pop("name", "nightly")
    declared = Declaration(schedules={name: ScheduleRule(**given_)})
    return mlrun_schedules.kept(declared, {name: ScheduleSpec(name=name, **given_)})


@pytest.mark.parametrize(
    ("rule", "what", "mend"),
    [
        ({"timezone": "Europe/Berlin"}, "MLRun's clock is UTC", "write its times in UTC"),
        ({"catch_up": CatchUp.LATEST}, "starts nothing late", "write catch_up: none"),
        ({"name": "early"}, "one schedule a workflow, under its name", "name it 'nightly'"),
        ({"cron": "*/5 * * * *"}, "fires after 5 minutes again", "less often"),
        ({"cron": "*/13 * * * *"}, "fires after 8 minutes again", "less often"),
        ({"cron": "0,58 0,23 * * *"}, "fires after 2 minutes again", "less often"),
        ({"cron": "0 5 1 * MON"}, "either, MLRun where both match", "two workflows"),
    ],
)
def test_what_mlrun_cannot_do_is_refused_with_a_way_out(rule, what, mend):
    with pytest.raises(PlanError) as refused:
        _kept(**rule)
    assert what in refused.value.what
    assert mend in refused.value.mend
    assert "schedules.owner: gitops" in refused.value.mend


def test_fires_over_midnight_are_close_only_where_two_days_follow_each_other():
    assert _kept(cron="0,58 0,23 1 * *")["nightly"].cron == "0,58 0,23 1 * *"
    with pytest.raises(PlanError, match="fires after 2 minutes again"):
        _kept(cron="0,58 0,23 28,1 * *")


def test_what_project_yaml_schedules_is_kept_as_mlrun_does_it():
    spec = ScheduleSpec(name="nightly", workflow="nightly", cron="0 2 * * 1-5")
    kept = mlrun_schedules.kept(Declaration(), {"nightly": spec})
    assert kept["nightly"].catch_up is CatchUp.NONE
    assert kept["nightly"].timezone == "UTC"
