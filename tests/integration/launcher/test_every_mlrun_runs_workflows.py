"""Each MLRun that may be chosen, in its own runner environment: a project is loaded and run, cold, by the real launcher.

What differs between the versions is the SDK that the workflow runner meets at its providers (the database, the local
launcher) and in its log; so the workflow passes a result and an artifact on, joins steps, and one fails.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.domain.mlrun_versions import SUPPORTED, row_of
from service.launchers import Job, JobKind
from service.launchers.process import ProcessLauncher
from service.launchers.process.places import cache_dir
from tests.integration.launcher.conftest import Bench, Told
from tests.peers.present import settings_for

pytestmark = [pytest.mark.runners, pytest.mark.slow]

FILES = {
    "project.yaml": """\
kind: project
metadata: {name: demo}
spec:
  params: {rows: 5}
  functions:
    - {name: steps, kind: job, url: steps.py, image: mlrun/mlrun}
  workflows:
    - {name: main, path: workflow.py}
    - {name: broken, path: workflow.py, handler: broken}
""",
    "project_setup.py": """\
def setup(project):
    project.spec.params["made"] = "by setup"
    project.save()
    return project
""",
    "steps.py": """\
import pandas


def prepare(context, rows: int):
    context.log_dataset("table", pandas.DataFrame({"x": range(int(rows))}), format="csv")
    context.log_result("rows", int(rows))


def train(context, table, rows: int):
    context.log_result("sum", int(table.as_df()["x"].sum()))
    context.log_result("told", int(rows))


def fail(context):
    raise LookupError("no such column")
""",
    "workflow.py": """\
import mlrun
from kfp import dsl


@dsl.pipeline(name="demo")
def pipeline(rows: int = 3):
    prepare = mlrun.run_function("steps", handler="prepare", params={"rows": rows}, outputs=["table", "rows"])
    other = mlrun.run_function("steps", handler="prepare", name="other", params={"rows": 1}, outputs=["rows"])
    mlrun.run_function(
        "steps",
        handler="train",
        inputs={"table": prepare.outputs["table"]},
        params={"rows": prepare.outputs["rows"]},
        outputs=["sum"],
    ).after(prepare, other)


def broken():
    mlrun.run_function("steps", handler="fail")
""",
}


class Rooms:
    """A launcher for one MLRun, and its jobs."""

    def __init__(self, ground: Path, version: str) -> None:
        settings = settings_for(version)
        launcher = settings.launcher.model_copy(
            update={"warm": False, "runs_dir": ground / "runs", "cache_dir": cache_dir(settings)}
        )
        self.version = version
        self.launcher = ProcessLauncher(settings.model_copy(update={"data_dir": ground / "data", "launcher": launcher}))
        self.bench = Bench.__new__(Bench)
        self.bench.launcher = self.launcher

    def start(self, kind: JobKind, name: str, **payload: Any) -> str:
        project = {"path": ".", "name": None, "repository_name": "demo", "source": ""}
        job = Job(
            id=name,
            kind=kind,
            source=_checkout,
            payload={"project": project, **payload},
            timeout_s=120,
            mlrun_version=self.version,
        )
        self.launcher.ensure(job)
        return name

    def ended(self, job: str) -> Told:
        told = self.bench.follow(job)
        assert told.kinds[-1] == "finished", self.bench.text(job)
        return told


def _checkout(into: Path) -> None:
    into.mkdir()
    for name, text in FILES.items():
        (into / name).write_text(text, encoding="utf-8")


@pytest.fixture(params=SUPPORTED)
def rooms(request: pytest.FixtureRequest) -> Iterator[Rooms]:
    ground = Path(tempfile.mkdtemp(prefix="launch-", dir="/tmp"))  # where the runner's user gets to
    ground.chmod(0o755)
    rooms = Rooms(ground, request.param)
    yield rooms
    rooms.launcher.close()
    shutil.rmtree(ground)


def test_a_project_is_loaded_and_its_workflows_run(rooms: Rooms) -> None:
    load = rooms.start(JobKind.LOAD, "load", setup_parameters={}, check=None)
    told = rooms.ended(load)
    claimed = told.events[0]
    assert (claimed["event"], claimed["mlrun"], claimed["warm"]) == ("claimed", rooms.version, False)
    assert claimed["python"].startswith(f"{row_of(rooms.version).python}.")
    assert told.events[-1]["error"] is None, rooms.bench.text(load)

    # The database: what the project saves is kept, functions are resolved, pipelines compile, and nothing is sent.
    result = rooms.launcher.result(load)
    assert result["project"]["spec"]["params"] == {"rows": 5, "made": "by setup"}
    assert result["functions"]["steps"]["spec"]["image"] == "mlrun/mlrun"
    assert result["checks"] == {"main": "compiled", "broken": "compiled"}
    assert result["warnings"] == []

    workflows = {workflow["name"]: workflow for workflow in result["workflows"]}
    resolved = {"project": result["project"], "functions": result["functions"]}
    runs = [
        rooms.start(
            JobKind.RUN,
            f"run-{name}",
            resolved=resolved,
            workflow=workflows[name]["spec"],
            arguments=arguments,
            engine=workflows[name]["engine"],
        )
        for name, arguments in (("main", {"rows": 4}), ("broken", {}))
    ]
    main, broken = map(rooms.ended, runs)

    # Results and artifacts pass between the steps, and steps can be joined.
    finished = main.events[-1]
    assert finished["error"] is None, rooms.bench.text(runs[0])
    assert finished["results"] == {
        "steps-prepare": {"rows": 4},
        "other": {"rows": 1},
        "steps-train": {"sum": 6, "told": 4},
    }
    (table, _) = (event for event in main.events if event["event"] == "artifact")
    assert (table["key"], table["kind"], table["step"]) == ("table", "dataset", "steps-prepare")

    # A step that fails is told by the user's own lines.
    error = broken.events[-1]["error"]
    assert (error["type"], error["message"], error["step"]) == ("LookupError", "no such column", "steps-fail")
    assert 'File "steps.py", line 15, in fail' in error["traceback"]
    assert "site-packages" not in error["traceback"]
