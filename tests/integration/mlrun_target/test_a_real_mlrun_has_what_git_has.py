"""From a push to the DB of a real MLRun API (1.5.2): projects resolved by MLRun's own client, saved by the service, read by the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.domain import drift
from tests.integration.reconciler.stage import Stage, gitops_yaml
from tests.peers.mlrun_api import MlrunApi
from tests.peers.runner import Runner

pytestmark = [pytest.mark.mlrun_api, pytest.mark.runner, pytest.mark.slow]

Json = dict[str, Any]
LATER = ("spec.state_thresholds",)
PROJECT = """
metadata: {name: fraud, labels: {team: ml}}
spec:
  params: {rows: 1, nested: {a: [1, null]}}
  default_image: mlrun/mlrun
  functions:
  - {name: one, url: one.py, kind: job, handler: handler}
  - {name: two, url: two.py, kind: job, image: "registry.example.com:5000/team/two:1", requirements: [pandas]}
  workflows:
  - {name: main, path: w.py, handler: pipeline, engine: kfp, args: {rows: 2}, workflow_runner_node_selector: {pool: x}}
  - {name: nightly, path: w.py, handler: pipeline, schedule: "0 2 * * 1-5"}
"""
FILES = {
    "project.yaml": PROJECT,
    "one.py": "def handler(context, rows: int = 1):\n    context.log_result('rows', rows)\n",
    "two.py": "def handler(context):\n    pass\n",
    "w.py": "from kfp import dsl\n\n\ndef pipeline(rows=1):\n    dsl.ContainerOp(name='step', image='x:1')\n",
}


@pytest.fixture(scope="module")
def mlrun() -> Iterator[MlrunApi]:
    with MlrunApi() as server:
        yield server


class Pushes:
    """A service whose loads are done by the real runner before they are asked for."""

    def __init__(self, stage: Stage, runner: Runner, mlrun: MlrunApi) -> None:
        self.stage, self.runner = stage, runner
        self.api = f"{mlrun.url}/api/v1/projects/fraud"
        self.files: dict[str, str] = {}

    def push(self, files: dict[str, str | None], declared: str | None = None) -> Json:
        """Push and wait; the plan."""
        self.files = {path: text for path, text in {**self.files, **files}.items() if text is not None}
        result = self.runner.load(self.files).result
        self.stage.launcher.resolved = {**result, "workflows": result["workflows"]}
        self.stage.push({**files, **({".gitops.yaml": declared} if declared else {})})
        self.stage.settle()
        sync = self.stage.get(f"/syncs/{self.stage.syncs()[-1].id}")
        assert sync["state"] == "succeeded", sync
        plan: Json = sync["plan"]
        return plan

    def get(self, path: str = "", **query: str) -> Json:
        answer = httpx.get(f"{self.api}{path}", params=query, trust_env=False).raise_for_status()
        found: Json = answer.json()
        return found

    def functions(self) -> dict[str, Json]:
        return {one["metadata"]["name"]: one for one in self.get("/functions", tag="latest")["funcs"]}

    def schedule(self, workflow: str) -> None:
        """What people do by hand, with MLRun's client."""
        body = {
            "spec": {"name": workflow, "schedule": "0 3 * * *", "path": "w.py", "engine": "local"},
            "source": "git://x.example.com/y.git#main",
        }
        httpx.post(f"{self.api}/workflows/{workflow}/submit", json=body, trust_env=False).raise_for_status()

    def schedules(self) -> list[str]:
        return [one["name"] for one in self.get("/schedules")["schedules"]]


@pytest.fixture
def pushes(tmp_path: Path, runner: Runner, mlrun: MlrunApi) -> Iterator[Pushes]:
    made = Stage(tmp_path / "stage")
    made.settings |= {"mlrun": {"api": mlrun.url}, "server": {"internal_url": "http://gitops.example.com"}}
    with made:
        yield Pushes(made, runner, mlrun)


def lacking(git: Json, there: Json) -> list[tuple[str, Any, Any]]:
    """What Git says and MLRun has not, without source, images, code_origin and owner; 1.5 drops fields that came later."""
    found = drift.of_function("one", drift.kept(plain(git), plain(git)), plain(there))
    return [(one.path, one.saved, one.there) for one in found if one.path not in LATER]


def plain(value: Any) -> Any:
    ours = {"source", "origin_url", "image", "default_image", "base_image", "code_origin", "owner", "tag"}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if key not in ours}
    return [plain(one) for one in value] if isinstance(value, list) else value


def test_project_functions_and_schedules_are_gits_and_a_second_push_writes_nothing(pushes: Pushes) -> None:
    plan = pushes.push(dict(FILES))
    assert [(one["kind"], one["name"]) for one in plan["writes"]] == [
        ("project", "fraud"),
        ("function", "one"),
        ("function", "two"),
    ]
    git, there = pushes.stage.launcher.resolved, pushes.get()
    assert lacking(git["project"], there) == []
    assert there["spec"]["source"].endswith(".tar.gz")
    assert there["spec"]["default_image"] == "docker.io/mlrun/mlrun:1.9.2"
    found = pushes.functions()
    assert sorted(found) == ["one", "two"]
    assert {name: lacking(git["functions"][name], one) for name, one in found.items()} == {"one": [], "two": []}
    assert found["one"]["spec"]["image"] == "docker.io/mlrun/mlrun:1.9.2"
    assert pushes.stage.crons() == {"nightly": "0 2 * * 1-5"}
    assert pushes.stage.get("/projects/fraud/drift")["differences"] == []

    before = {name: one["metadata"]["updated"] for name, one in found.items()}
    pushes.stage.ask("/projects/fraud/sync")
    pushes.stage.settle()
    again = pushes.stage.get(f"/syncs/{pushes.stage.syncs()[-1].id}")
    assert (again["state"], again["plan"]["writes"], again["plan"]["save"]) == ("succeeded", [], False)
    assert {name: one["metadata"]["updated"] for name, one in pushes.functions().items()} == before

    changed = pushes.push({"two.py": "def handler(context):\n    context.log_result('new', 1)\n"})
    assert [one["name"] for one in changed["writes"]] == ["two", "fraud"]
    after = {name: one["metadata"]["updated"] for name, one in pushes.functions().items()}
    assert after["one"] == before["one"]
    assert after["two"] != before["two"]

    pushes.schedule("main")
    httpx.patch(pushes.api, json={"spec": {"params": {"rows": 7}}}, trust_env=False).raise_for_status()
    assert [(one["path"], one["there"]) for one in pushes.stage.get("/projects/fraud/drift")["differences"]] == [
        ("spec.params.rows", 7)
    ]
    less = PROJECT.replace("  - {name: one, url: one.py, kind: job, handler: handler}\n", "")
    pruned = pushes.push({"project.yaml": less, "one.py": None}, gitops_yaml({"path": ".", "prune": True}))
    assert [(one["kind"], one["name"], one["action"]) for one in pruned["writes"]] == [
        ("project", "fraud", "change"),
        ("function", "one", "remove"),
        ("schedule", "main", "remove"),
    ]
    assert sorted(pushes.functions()) == ["two", "workflow-runner-main"], "the last is MLRun's own"
    assert pushes.schedules() == []
    assert pushes.get()["spec"]["params"]["rows"] == 1
    assert pushes.stage.get("/projects/fraud/drift")["differences"] == []
