"""`mlrun.source: git`: MLRun clones the branch itself, a private one by the project's own secret."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.mlrun.scene import QUIET, MlrunScene, a_scene
from tests.peers.mlrun_api.place import GIT_TOKEN, MlrunPlace

pytestmark = [pytest.mark.mlrun_api, pytest.mark.kubernetes, pytest.mark.runner, pytest.mark.slow]


@pytest.fixture(scope="module")
def scene(mlrun_place: MlrunPlace) -> Iterator[MlrunScene]:
    with a_scene(mlrun_place, mlrun={"source": "git"}) as scene:
        yield scene


def test_without_a_secret_the_private_repository_is_an_error_with_gits_words_and_with_it_the_run_succeeds(
    scene: MlrunScene,
) -> None:
    team = scene.team()
    team.succeeded(team.push(team.files_of()))
    [refused] = team.runs()
    assert refused["state"] == "failed"
    team.logged(refused, "could not read Username")
    assert GIT_TOKEN not in team.log(refused)

    team.mlrun.put_secrets(team.name, {"GIT_TOKEN": GIT_TOKEN})
    team.succeeded(team.push(team.files_of(factor=4)))

    run = team.runs()[0]
    assert run["state"] == "succeeded", (run, team.log(run))
    assert run["results"]["double-run"]["product"] == 84
    assert GIT_TOKEN not in team.log(run)


def test_a_sync_that_changes_nothing_has_an_empty_plan_and_writes_nothing(scene: MlrunScene) -> None:
    team = scene.team()
    team.succeeded(team.push({**team.files_of(), **QUIET}))
    source = team.mlrun.project(team.name)["spec"]["source"]
    assert source == scene.place.source(f"{scene.folder.name}/{team.name}")
    scene.proxy.asked.clear()

    sync = team.succeeded(team.push({"README.md": "words\n"}))

    plan = sync["plan"]
    assert (plan["save"], plan["changes"], plan["runs"], plan["schedules"], plan["writes"]) == (False, [], [], [], [])
    assert scene.proxy.writes() == []
