"""`schedules.owner: mlrun`: schedules in MLRun are as Git says, made, moved and taken away, and MLRun fires them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.mlrun.scene import DOUBLE, QUIET, MlrunScene, MlrunTeam, a_scene
from tests.peers.mlrun_api.place import MlrunPlace

pytestmark = [pytest.mark.mlrun_api, pytest.mark.kubernetes, pytest.mark.runner, pytest.mark.slow]


@pytest.fixture(scope="module")
def scene(mlrun_place: MlrunPlace) -> Iterator[MlrunScene]:
    with a_scene(mlrun_place, schedules={"owner": "mlrun"}) as scene:
        yield scene


def test_a_schedule_is_made_moved_fired_with_what_is_in_force_and_pruned(scene: MlrunScene) -> None:
    team = scene.team()
    team.succeeded(team.push({**team.files_of(cron="30 2 * * 1"), **QUIET}))
    assert _fires(team) == {"nightly": {"minute": "30", "hour": "2", "day": "*", "month": "*", "day_of_week": "mon"}}

    team.succeeded(team.push({**team.files_of(cron="45 3 * * 0", factor=4), **QUIET}))
    assert _fires(team) == {"nightly": {"minute": "45", "hour": "3", "day": "*", "month": "*", "day_of_week": "sun"}}

    uid = team.mlrun.invoke(team.name, "nightly")
    assert team.mlrun.ended(team.name, uid)["status"]["state"] == "completed", team.mlrun.log(team.name, uid)
    [step] = team.mlrun.runs(team.name, "double-run")
    assert step["status"]["results"]["product"] == 84

    team.succeeded(team.push({**team.files_of(), **QUIET}))
    assert _fires(team) == {}


def test_what_mlruns_clock_runs_is_what_the_last_push_says_though_nobody_made_the_schedule_anew(
    scene: MlrunScene,
) -> None:
    team = scene.team()
    cron = _soon(team)
    made = team.mlrun.schedules(team.name)["nightly"]
    first = team.mlrun.fired(team.name, "nightly")
    assert _product(team, first) == 126
    assert "doubling 6" in team.mlrun.log(team.name, first)

    changed = DOUBLE.replace("doubling", "multiplying")
    second_push = team.push({**team.files_of(cron=cron, factor=7), "double.py": changed, **QUIET})
    team.succeeded(second_push)
    # It is an hour until then; who looks after MLRun has no such patience.
    team.mlrun.move(team.name, "nightly", "* * * * *")
    second = team.mlrun.fired(team.name, "nightly", after=first)
    team.mlrun.move(team.name, "nightly", cron)

    assert _product(team, second) == 147
    assert "multiplying 7" in team.mlrun.log(team.name, second)
    runner = team.mlrun.run(team.name, second)
    assert runner["spec"]["parameters"]["url"].endswith(f"/{second_push}.tar.gz")
    assert team.mlrun.schedules(team.name)["nightly"]["creation_time"] == made["creation_time"]
    # They are MLRun's alone, as the guide says.
    assert scene.service.all("/runs", repository=team.name) == []


def _soon(team: MlrunTeam) -> str:
    """Push a schedule that is due within two minutes, which MLRun has before then; its line."""
    for _ in range(3):
        due = datetime.now(UTC) + timedelta(seconds=100)
        cron = f"{due.minute} * * * *"
        team.succeeded(team.push({**team.files_of(cron=cron, factor=6), **QUIET}))
        fires_at = datetime.fromisoformat(team.mlrun.schedules(team.name)["nightly"]["next_run_time"])
        if fires_at <= datetime.now(UTC) + timedelta(minutes=2):
            return cron
    raise AssertionError("each push took longer than it was until its schedule was due")


def _product(team: MlrunTeam, uid: str) -> int:
    """What the step of this runner came to, which has completed."""
    run = team.mlrun.ended(team.name, uid)
    assert run["status"]["state"] == "completed", team.mlrun.log(team.name, uid)
    workflow = run["status"]["results"]["workflow_id"]
    steps = team.mlrun.runs(team.name, "double-run")
    [step] = [one for one in steps if one["metadata"]["labels"]["workflow"] == workflow]
    product: int = step["status"]["results"]["product"]
    return product


def _fires(team: MlrunTeam) -> dict[str, Any]:
    return {
        name: {key: str(one["cron_trigger"][key]) for key in ("minute", "hour", "day", "month", "day_of_week")}
        for name, one in team.mlrun.schedules(team.name).items()
    }
