"""MLRun itself in a pod: a project is loaded, its workflow run, in an image's odd surroundings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.launchers import EndReason, JobKind
from service.launchers.document import needs_of
from service.launchers.pack import pack
from service.store import jobs
from tests.integration.pods.project import files
from tests.peers.pod import Callee, Pod
from tests.peers.runner_python import runner_python

__all__ = ["files", "runner_python"]

pytestmark = [pytest.mark.runner, pytest.mark.slow]

PROJECT = {"path": ".", "name": None, "repository_name": "fraud", "source": "git://git.example.com/ml/fraud.git"}
# Of nobody that the machine knows.
STRANGER = 54321


@pytest.fixture
def run(callee: Callee, runner_python: Path, ground: Path) -> Iterator[Callable[..., Pod]]:
    pods: list[Pod] = []

    def begin(job: str, **surroundings: Any) -> Pod:
        base = ground / job
        secret = callee.secret(base / "secret", job)
        pods.append(Pod(base, runner_python, pack(ground), secret, **surroundings))
        pods[-1].wait(120)
        return pods[-1]

    yield begin
    for pod in pods:
        pod.close()


def add(callee: Callee, job: str, kind: JobKind, **payload: Any) -> str:
    return callee.add(job, kind=kind, needs=needs_of("1.9.2"), payload={"project": PROJECT, **payload})


def result(callee: Callee, job: str) -> dict[str, Any]:
    with callee.store.read() as conn:
        data = jobs.result(conn, job)
    assert data is not None
    found: dict[str, Any] = json.loads(data)
    return found


def test_a_project_is_loaded_and_its_workflow_runs(callee: Callee, run: Callable[..., Pod]) -> None:
    add(callee, "load", JobKind.LOAD, setup_parameters={}, check=None)
    load = run("load")
    assert callee.events("load")[-1] == "finished", load.log
    resolved = result(callee, "load")
    assert resolved["checks"] == {"main": "compiled"}
    (workflow,) = resolved["workflows"]
    add(
        callee,
        "run",
        JobKind.RUN,
        resolved={"project": resolved["project"], "functions": resolved["functions"]},
        workflow=workflow["spec"],
        arguments={"x": 4},
        engine=workflow["engine"],
    )
    # As in a pod that runs as a number, in an image that has a directory of its own for everything.
    pod = run("run", user=STRANGER if os.geteuid() == 0 else None)
    assert pod.process.returncode == 0, pod.log
    assert callee.events("run") == ["claimed", "started", "step.started", "step.finished", "finished"]
    claimed, finished = callee.lines("run")[0], callee.lines("run")[-1]
    assert (claimed["mlrun"], claimed["kfp"]) == ("1.9.2", "1.8.22")
    assert finished["results"] == {"work-work": {"double": 8}}, finished


def test_a_project_that_fails_is_told(callee: Callee, run: Callable[..., Pod], files: dict[str, bytes]) -> None:
    files["project.yaml"] = b"metadata: {name: demo}\nspec: {workflows: [{name: main, path: missing.py}]}\n"
    add(callee, "load", JobKind.LOAD, setup_parameters={}, check=None)
    pod = run("load")
    assert pod.process.returncode == 1
    assert "there is no file 'missing.py'" in callee.lines("load")[-1]["error"]["message"]


def test_an_image_of_another_mlrun_is_refused_before_anything_is_imported(
    callee: Callee, run: Callable[..., Pod]
) -> None:
    callee.add("other", kind=JobKind.LOAD, needs=needs_of("1.12.1"), payload={"project": PROJECT})
    pod = run("other", environment={"HOME": "/proc"})
    assert pod.process.returncode == 3
    job = callee.job("other")
    assert job.ended is EndReason.INCOMPATIBLE
    assert job.detail.startswith("image example/image:1: Python 3.9.")
    for words in ("3.11 needed", "mlrun 1.9.2 found, 1.12 needed", "HOME=/proc is not writable ("):
        assert words in job.detail
    assert callee.events("other") == []
