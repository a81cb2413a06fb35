"""The MLRun launcher on MLRun's own API server, whose runners are pods that clone a private repository."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.domain import mlrun_requests
from service.launchers import Job, JobKind
from service.launchers.mlrun import MlrunLauncher
from service.mlrun_api import MlrunApi
from service.settings import Settings
from service.store import Store, new_id, open_store
from tests.peers.mlrun_api.place import GIT_TOKEN, MlrunPlace
from tests.peers.runner_python import runner_python

__all__ = ["runner_python"]

PROJECT = "fraud"
FILES: dict[str, str | bytes | None] = {
    "project.yaml": """\
kind: project
metadata: {name: fraud}
spec:
  params: {factor: 2}
  functions:
    - {name: double, kind: job, image: mlrun/mlrun, url: double.py, handler: run}
  workflows:
    - {name: main, path: workflow.py, handler: pipeline, engine: local, args: {seconds: 7}, schedule: "0 3 * * *"}
    - {name: bad, path: workflow.py, handler: bad, engine: local}
""",
    "double.py": """\
import time


def run(context, factor: int, seconds: int = 0):
    print("doubling", factor, "in", seconds, flush=True)
    time.sleep(seconds)
    if factor < 0:
        raise ValueError("no rows to double")
    context.log_result("product", 21 * factor)
""",
    "workflow.py": """\
import mlrun


def pipeline(seconds: int = 7):
    project = mlrun.get_current_project()
    project.run_function("double", params={"factor": project.get_param("factor"), "seconds": seconds})


def bad():
    mlrun.get_current_project().run_function("double", params={"factor": -1})
""",
}


@pytest.fixture(scope="module")
def saved(mlrun_place: MlrunPlace, runner_python: Path, tmp_path_factory: pytest.TempPathFactory) -> MlrunPlace:
    """MLRun has the project, its function, and the secret that its private repository wants."""
    work = mlrun_place.forge.create(PROJECT, private=True).clone(tmp_path_factory.mktemp("work") / PROJECT)
    work.commit(FILES, "First")
    work.push()
    mlrun_place.sdk(
        runner_python,
        {"do": "load", "name": PROJECT, "url": mlrun_place.source(PROJECT)},
        {"do": "secrets", "name": PROJECT, "secrets": {"GIT_TOKEN": GIT_TOKEN}},
        environment={"GIT_TOKEN": GIT_TOKEN},
    )
    return mlrun_place


@pytest.fixture
def api(saved: MlrunPlace) -> Iterator[MlrunApi]:
    api = MlrunApi(Settings.model_validate({"mlrun": {"api": saved.api.url}}))
    yield api
    api.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(Settings(data_dir=tmp_path / "data"))
    yield opened
    opened.close()


@pytest.fixture
def launcher(api: MlrunApi, store: Store) -> Iterator[MlrunLauncher]:
    made = MlrunLauncher(store, api)
    yield made
    made.close()


@pytest.fixture
def a_job(saved: MlrunPlace) -> Callable[..., Job]:
    """A run of the workflow `main`, with these `arguments`, from this `repository`."""

    def made(
        arguments: dict[str, Any] | None = None, *, workflow: str = "main", repository: str = PROJECT, **others: Any
    ) -> Job:
        job = new_id()
        payload = {
            "workflow": {
                "name": workflow,
                "path": "workflow.py",
                "handler": {"main": "pipeline"}.get(workflow, workflow),
            },
            "arguments": arguments or {},
            "engine": "local",
            "source_url": mlrun_requests.marked(saved.source(repository), job),
        }
        return Job(
            id=job,
            kind=JobKind.RUN,
            source=lambda into: None,
            payload=payload,
            mlrun_version="1.9.2",
            project=PROJECT,
            repository=PROJECT,
            commit="0" * 40,
            image="docker.io/mlrun/mlrun-kfp:1.9.2",
            **({"timeout_s": 600.0} | others),
        )

    return made
