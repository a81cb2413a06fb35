"""The MLRun API server as a peer that runs remote workflows: its own pods, driven by MLRun's own SDK as users drive it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.peers.git_http import WorkingCopy
from tests.peers.mlrun_api.place import GIT_TOKEN, MlrunPlace
from tests.peers.runner_python import runner_python
from tests.waiting import until

__all__ = ["runner_python"]

pytestmark = [pytest.mark.mlrun_api, pytest.mark.kubernetes, pytest.mark.runner, pytest.mark.slow]

_FILES: dict[str, str | bytes | None] = {
    "project.yaml": """\
kind: project
metadata: {name: fraud}
spec:
  params: {factor: 2}
  functions:
    - {name: double, kind: job, image: mlrun/mlrun, url: double.py, handler: run}
  workflows:
    - {name: main, path: workflow.py, handler: pipeline}
    - {name: slow, path: workflow.py, handler: slow}
""",
    "double.py": """\
import time


def run(context, factor: int, seconds: int = 0):
    print("doubling", factor, flush=True)
    time.sleep(seconds)
    context.log_result("product", 21 * factor)
""",
    "workflow.py": """\
import mlrun


def pipeline(seconds: int = 0):
    project = mlrun.get_current_project()
    project.run_function("double", params={"factor": project.get_param("factor"), "seconds": seconds})


def slow():
    pipeline(seconds=600)
""",
}


@pytest.fixture(scope="module")
def work(mlrun_place: MlrunPlace, tmp_path_factory: pytest.TempPathFactory) -> WorkingCopy:
    """A private repository."""
    work = mlrun_place.forge.create("fraud", private=True).clone(tmp_path_factory.mktemp("work") / "fraud")
    work.commit(_FILES, "First")
    work.push()
    return work


@pytest.fixture(scope="module")
def submitted(mlrun_place: MlrunPlace, work: WorkingCopy, runner_python: Path) -> list[dict[str, Any]]:
    """What a user did in one session: saved the project, gave it a secret, ran it, scheduled it, ran it from elsewhere."""
    name = "fraud"
    return mlrun_place.sdk(
        runner_python,
        {"do": "load", "name": name, "url": mlrun_place.source("fraud")},
        {"do": "secrets", "name": name, "secrets": {"GIT_TOKEN": GIT_TOKEN}},
        {"do": "run", "name": name, "workflow": "main"},
        {"do": "run", "name": name, "workflow": "main", "schedule": "* * * * *"},
        {"do": "run", "name": name, "workflow": "slow"},
        {"do": "run", "name": name, "workflow": "main", "source": mlrun_place.source("nothing-there")},
        environment={"GIT_TOKEN": GIT_TOKEN},
    )


def test_a_remote_workflow_from_a_private_repository_completes_in_its_pod(
    mlrun_place: MlrunPlace, submitted: list[dict[str, Any]]
) -> None:
    assert submitted[0]["functions"] == ["double"]
    uid = _uid(submitted[2])

    run = mlrun_place.client.ended("fraud", uid)

    log = mlrun_place.client.log("fraud", uid)
    assert run["status"]["state"] == "completed", log
    assert "doubling 2" in log
    products = [
        one["status"].get("results", {}).get("product") for one in mlrun_place.client.runs("fraud", "double-run")
    ]
    assert 42 in products


def test_a_schedule_fires_by_itself_and_when_it_is_invoked(
    mlrun_place: MlrunPlace, submitted: list[dict[str, Any]]
) -> None:
    assert submitted[3] == {"error": None, "uids": []}
    client = mlrun_place.client

    by_itself = client.fired("fraud", "main")
    client.move("fraud", "main", "0 0 1 1 *")
    invoked = client.invoke("fraud", "main")
    client.http.delete("/projects/fraud/schedules/main").raise_for_status()

    assert client.ended("fraud", by_itself)["status"]["state"] == "completed"
    assert client.ended("fraud", invoked)["status"]["state"] == "completed"
    assert client.schedules("fraud") == {}


def test_a_log_is_read_while_the_workflow_runs_and_aborting_removes_the_pod(
    mlrun_place: MlrunPlace, submitted: list[dict[str, Any]]
) -> None:
    client, uid = mlrun_place.client, _uid(submitted[4])
    until(lambda: "doubling 2" in client.log("fraud", uid), "the log of a running workflow", 120)
    assert client.run("fraud", uid)["status"]["state"] == "running"

    client.abort("fraud", uid)

    assert client.ended("fraud", uid)["status"]["state"] == "aborted"
    until(lambda: uid not in _pods_by_run(mlrun_place), "the pod to go", 60)


def test_a_source_that_cannot_be_cloned_is_an_error_with_gits_words(
    mlrun_place: MlrunPlace, submitted: list[dict[str, Any]]
) -> None:
    uid = _uid(submitted[5])

    run = mlrun_place.client.ended("fraud", uid)

    assert run["status"]["state"] == "error"
    assert "nothing-there.git/' not found" in mlrun_place.client.log("fraud", uid)


def _uid(answer: dict[str, Any]) -> str:
    """Of the one run that was begun."""
    assert answer["error"] is None, answer
    (uid,) = answer["uids"]
    return str(uid)


def _pods_by_run(place: MlrunPlace) -> set[str]:
    return {pod["metadata"]["labels"].get("mlrun/uid", "") for pod in place.pods()}
