"""`schedules.owner: mlrun`: schedules in MLRun are as Git says, made, moved and taken away, and MLRun fires them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.mlrun.scene import QUIET, MlrunScene, MlrunTeam, a_scene
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


def _fires(team: MlrunTeam) -> dict[str, Any]:
    return {
        name: {key: str(one["cron_trigger"][key]) for key in ("minute", "hour", "day", "month", "day_of_week")}
        for name, one in team.mlrun.schedules(team.name).items()
    }
