"""From a push to MLRun's database and MLRun's own runner, on the real server: what the main job is for."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.mlrun.scene import DOUBLE, QUIET, MlrunScene, a_scene
from tests.e2e.stage import LONG_S
from tests.peers.mlrun_api.place import GIT_TOKEN, MlrunPlace
from tests.peers.runner_python import runner_python
from tests.peers.service_process import wait_for

__all__ = ["runner_python"]

pytestmark = [pytest.mark.mlrun_api, pytest.mark.kubernetes, pytest.mark.runner, pytest.mark.slow]

Json = dict[str, Any]
# The documented normalization: where files and images come from, whose it is, and what the server writes down by itself.
_OF_PROJECT = ("source", "origin_url", "owner")
_OF_SERVER = ("created", "updated", "uid", "hash", "status", "categories", "tag")


@pytest.fixture(scope="module")
def scene(mlrun_place: MlrunPlace) -> Iterator[MlrunScene]:
    with a_scene(mlrun_place) as scene:
        yield scene


def test_what_mlrun_has_after_a_push_is_what_its_own_client_saves_from_the_clone(
    scene: MlrunScene, runner_python: Path
) -> None:
    team, place = scene.team(), scene.place
    files = team.files_of(functions=("double", "Twice_it"))
    team.work.commit(files, "First")
    team.work.push()
    name = f"{scene.folder.name}/{team.name}"
    load = {"do": "load", "name": team.name, "url": place.source(name)}
    [loaded] = place.sdk(runner_python, load, environment={"GIT_TOKEN": GIT_TOKEN})
    # Their clone lay somewhere, which the names of files begin with.
    theirs = _without(f"{loaded['context']}/", (team.mlrun.project(team.name), team.mlrun.functions(team.name)))
    team.mlrun.delete_project(team.name)

    commit = team.push(QUIET)
    team.succeeded(commit)

    ours = (team.mlrun.project(team.name), team.mlrun.functions(team.name))
    assert sorted(ours[1]) == ["double", "twice-it"]
    assert _project(ours[0]) == _project(theirs[0])
    assert {name: _function(one) for name, one in ours[1].items()} == {
        name: _function(one) for name, one in theirs[1].items()
    }
    assert ours[0]["spec"]["source"].endswith(f"/{commit}.tar.gz")
    assert ours[1]["double"]["spec"]["image"] == "docker.io/mlrun/mlrun:1.9.2"
    assert ours[1]["double"]["spec"]["build"]["code_origin"].endswith(f"#{commit}")


def test_a_run_is_mlruns_own_and_its_log_and_results_are_ours(scene: MlrunScene) -> None:
    team = scene.team()
    commit = team.push(team.files_of(factor=3))
    team.succeeded(commit)

    [run] = team.runs()

    assert (run["state"], run["launcher"], run["commit"]) == ("succeeded", "mlrun", commit), (run, scene.service.tail())
    assert run["results"]["double-run"]["product"] == 63
    team.logged(run, "doubling 3")
    [runner] = team.runners()
    assert runner["status"]["state"] == "completed"
    wait_for(lambda: team.told("run.succeeded"), LONG_S, "the message")


def test_a_second_push_runs_its_own_files_with_its_own_configuration(scene: MlrunScene) -> None:
    team = scene.team()
    team.succeeded(team.push(team.files_of(factor=1)))
    team.runs()
    changed = DOUBLE.replace("doubling", "multiplying")
    second = team.push({**team.files_of(factor=5), "double.py": changed})
    team.succeeded(second)

    runs = team.runs()

    assert [run["state"] for run in runs] == ["succeeded", "succeeded"]
    assert runs[0]["commit"] == second
    assert runs[0]["results"]["double-run"]["product"] == 105
    team.logged(runs[0], "multiplying 5")


def test_a_push_that_changes_nothing_writes_nothing_into_mlrun(scene: MlrunScene) -> None:
    team = scene.team()
    team.succeeded(team.push(team.files_of()))
    team.runs()
    before = copy.deepcopy((team.mlrun.project(team.name), team.mlrun.functions(team.name)))
    scene.proxy.asked.clear()

    sync = team.synced(team.push({}, "Nothing"))

    assert sync["state"] == "skipped"
    assert [one for one in scene.proxy.writes() if f"/{team.name}" in one] == []
    assert before == (team.mlrun.project(team.name), team.mlrun.functions(team.name))


def test_a_fire_of_our_clock_is_a_run_of_mlruns(scene: MlrunScene) -> None:
    team = scene.team()
    team.succeeded(team.push({**team.files_of(cron="* * * * *", factor=6), **QUIET}))
    assert team.mlrun.schedules(team.name) == {}
    assert team.schedules() == {"nightly": "* * * * *"}

    def succeeded() -> list[Any]:
        return list(scene.service.all("/runs", repository=team.name, state="succeeded"))

    wait_for(succeeded, 2 * LONG_S, scene.service.tail)
    team.succeeded(team.push({**team.files_of(), **QUIET}))

    assert team.schedules() == {}
    run = succeeded()[-1]
    assert (run["workflow"], run["launcher"], run["results"]["double-run"]["product"]) == ("nightly", "mlrun", 126)


def test_a_run_that_is_cancelled_is_aborted_in_mlrun_and_its_pod_goes(scene: MlrunScene) -> None:
    team = scene.team()
    team.succeeded(team.push(team.files_of(seconds=600)))
    run = team.running()
    team.logged(run, "doubling 2")
    [runner] = team.runners()

    scene.service.http.post(f"/api/v1/runs/{run['id']}/cancel", json={}).raise_for_status()

    [run] = team.runs()
    assert run["state"] == "cancelled", run
    uid = runner["metadata"]["uid"]
    assert team.mlrun.run(team.name, uid)["status"]["state"] == "aborted"
    wait_for(
        lambda: not [pod for pod in scene.place.pods() if pod["metadata"]["labels"].get("mlrun/uid") == uid],
        60,
        "the pod to go",
    )


def test_a_workflow_that_fails_in_mlrun_has_failed_here_with_its_words(scene: MlrunScene) -> None:
    team = scene.team()
    broken = "def run(context, factor: int, seconds: int = 0):\n    raise ValueError('no data today')\n"
    team.succeeded(team.push({**team.files_of(), "double.py": broken}))

    [run] = team.runs()

    assert run["state"] == "failed"
    team.logged(run, "no data today")
    wait_for(lambda: team.told("run.failed"), LONG_S, "the message")


def _without(text: str, documents: Any) -> Any:
    return json.loads(json.dumps(documents).replace(text, ""))


def _project(document: Json) -> Json:
    found = _plain(document)
    found["spec"] = {key: value for key, value in found["spec"].items() if key not in _OF_PROJECT}
    return found


def _function(document: Json) -> Json:
    found = _plain(document)
    found["spec"].get("build", {}).pop("code_origin", None)
    return found


def _plain(value: Any) -> Any:
    """Without what the server writes by itself, and with images by their name alone."""
    if isinstance(value, dict):
        return {
            key: "an image" if key in ("image", "default_image") and item else _plain(item)
            for key, item in value.items()
            if key not in _OF_SERVER
        }
    return [_plain(item) for item in value] if isinstance(value, list) else value
