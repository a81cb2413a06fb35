"""Schedules that MLRun fires: made, changed when anything of theirs did, taken away, and otherwise left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from service.domain import mlrun_scheduled
from service.domain.drift import There
from service.domain.images import Images
from service.domain.planned import Action, PlannedWrite, WriteKind
from service.domain.projects import CatchUp, Declaration, Resolved, ScheduleRule, Workflow
from service.domain.saving import Documents
from service.domain.writes import Saving, plan_writes
from service.mlrun_api import Feature, MlrunApi
from service.targets.mlrun import MlrunTarget, schedules
from tests.integration.mlrun_schedules.conftest import PROJECT

pytestmark = pytest.mark.slow

SOURCE = str(PROJECT["spec"]["source"])  # type: ignore[index]  # a plain document
_WEEKLY = ScheduleRule(workflow="weekly_report", cron="30 4 * * 1", catch_up=CatchUp.NONE, arguments={"rows": 0})


def _resolved(notifications: Sequence[dict[str, Any]]) -> Resolved:
    specs: list[dict[str, Any]] = PROJECT["spec"]["workflows"]  # type: ignore[index]  # a plain document
    workflows = {
        one["name"]: Workflow(
            name=one["name"],
            engine=one.get("engine", "kfp"),
            schedule=one.get("schedule"),
            args=one.get("args", {}),
            spec=one,
        )
        for one in specs
    }
    project = {**PROJECT, "spec": {**PROJECT["spec"], "notifications": notifications}}  # type: ignore[dict-item]
    return Resolved(name="demo", project=project, workflows=workflows)


def _wanted(
    *,
    weekly: ScheduleRule | None = _WEEKLY,
    source: str = SOURCE,
    registry: str = "docker.io",
    notifications: Sequence[dict[str, Any]] = (),
) -> Documents:
    declared = Declaration(schedules={"weekly_report": weekly} if weekly else {})
    requests = mlrun_scheduled.requests(declared, _resolved(list(notifications)), Images(registry=registry), source)
    return Documents(project=PROJECT, workflows=("nightly", "weekly_report"), schedules=requests)


def _writes(api: MlrunApi, wanted: Documents, *, by_gitops: bool = False) -> list[PlannedWrite]:
    there: There = MlrunTarget(api).look("demo")
    writes = plan_writes(Saving(wanted=wanted, there=there, clears_schedules=by_gitops))
    return [one for one in writes if one.kind is WriteKind.SCHEDULE]


def _do(api: MlrunApi, wanted: Documents, *, by_gitops: bool = False) -> list[tuple[Action, str, str]]:
    writes = _writes(api, wanted, by_gitops=by_gitops)
    for write in writes:
        schedules.write(api, api.server(), "demo", write, wanted.schedules)
    return [(one.action, one.name, one.reason) for one in writes]


def test_they_are_made_once_and_then_left_alone(api: MlrunApi) -> None:
    assert _do(api, _wanted()) == [(Action.CREATE, "nightly", "new"), (Action.CREATE, "weekly_report", "new")]
    assert _do(api, _wanted()) == []
    kept = api.schedules("demo")
    # APScheduler's 1 is Tuesday.
    assert kept["weekly_report"]["cron_trigger"]["day_of_week"] == "mon"
    assert kept["nightly"]["scheduled_object"]["task"]["spec"]["parameters"]["workflow_arguments"] == {"rows": 50}
    assert kept["weekly_report"]["scheduled_object"]["task"]["spec"]["parameters"]["workflow_arguments"] == {"rows": 0}


def test_what_changed_is_submitted_again_and_says_what_it_is(api: MlrunApi) -> None:
    _do(api, _wanted())
    later = replace(_WEEKLY, cron="45 4 * * 1", arguments={"rows": 7})
    changed = [(Action.CHANGE, "weekly_report", "its time, its arguments changed")]
    assert _do(api, _wanted(weekly=later)) == changed
    assert _do(api, _wanted(weekly=later)) == []


def test_who_is_told_of_their_runs_changes_with_git(api: MlrunApi) -> None:
    _do(api, _wanted())
    notification = {"kind": "slack", "name": "team", "when": ["error"], "secret_params": {"webhook": "https://x.y/z"}}
    told = _wanted(notifications=[notification])
    knows = api.server().has(Feature.NOTIFICATIONS_OF_WORKFLOWS)
    assert {reason for _, _, reason in _do(api, told)} == ({"its notifications changed"} if knows else set())
    assert _do(api, told) == []
    assert len(_do(api, _wanted(notifications=[notification | {"when": ["completed"]}]))) == (2 if knows else 0)
    assert len(_do(api, _wanted())) == (2 if knows else 0)


def test_a_new_commit_and_a_new_image_move_them_all(api: MlrunApi) -> None:
    _do(api, _wanted())
    source = SOURCE.replace("abc", "def")
    api.put_project("demo", {**PROJECT, "spec": {**PROJECT["spec"], "source": source}})  # type: ignore[dict-item]
    moved = _wanted(source=source)
    assert {reason for _, _, reason in _do(api, moved)} == {"its source changed"}
    assert _do(api, moved) == []
    mirrored = _wanted(source=source, registry="registry.example.com/mirror")
    assert {reason for _, _, reason in _do(api, mirrored)} == {"its image changed"}
    assert _do(api, mirrored) == []


def test_what_git_has_no_more_is_taken_away(api: MlrunApi) -> None:
    _do(api, _wanted())
    assert _do(api, _wanted(weekly=None)) == [(Action.REMOVE, "weekly_report", "nothing declares it any more")]
    assert set(api.schedules("demo")) == {"nightly"}


def test_when_this_service_keeps_the_clock_they_all_give_way(api: MlrunApi) -> None:
    _do(api, _wanted())
    ours = replace(_wanted(), schedules={})
    assert [action for action, *_ in _do(api, ours, by_gitops=True)] == [Action.REMOVE, Action.REMOVE]
    assert api.schedules("demo") == {}


def test_what_somebody_changed_in_mlrun_is_put_right(api: MlrunApi) -> None:
    _do(api, _wanted())
    moved = _wanted(weekly=replace(_WEEKLY, cron="0 0 1 1 *"))
    schedules.put(api, api.server(), "demo", "weekly_report", moved.schedules["weekly_report"])
    assert _do(api, _wanted()) == [(Action.CHANGE, "weekly_report", "its time changed")]
