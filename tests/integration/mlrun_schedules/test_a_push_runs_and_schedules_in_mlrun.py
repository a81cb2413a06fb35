"""From a push to MLRun: the service with its real source and store, loads from memory, and a strict MLRun that runs and fires."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service import app
from tests.integration.mlrun_schedules.stage import InMlrun
from tests.integration.reconciler.stage import gitops_yaml, project_yaml
from tests.peers.mlrun_stand_in.process import MlrunStandIn
from tests.waiting import until

pytestmark = [pytest.mark.runners, pytest.mark.slow]

SERVICE = "http://gitops.example.com"
PUSHED: dict[str, str | bytes | None] = {"project.yaml": project_yaml("fraud"), "w.py": "pass"}


@pytest.fixture
def stage(tmp_path: Path, mlrun_1_9: MlrunStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[InMlrun]:
    made = InMlrun(tmp_path)
    made.settings |= {
        "mlrun": {"api": mlrun_1_9.url},
        "server": {"internal_url": SERVICE},
        "launcher": {"kind": "mlrun", "concurrency": 4},
    }
    monkeypatch.setitem(app.LAUNCHERS, "process", lambda *_: made.launcher)
    with made:
        yield made


def _submits(mlrun: MlrunStandIn) -> list[Any]:
    return [one for one in mlrun.writes() if one.path.endswith("/submit")]


def _submitted(mlrun: MlrunStandIn, count: int = 1) -> Any:
    until(lambda: len(_submits(mlrun)) >= count, "a submit")
    return _submits(mlrun)[-1]


def _why_not(stage: InMlrun, project: str = "fraud") -> str:
    error = stage.syncs(project)[-1].error
    assert error is not None
    return str(error["what"])


def test_a_push_is_saved_then_run_by_mlrun_from_an_archive_of_its_own(stage: InMlrun, mlrun_1_9: MlrunStandIn) -> None:
    commit = stage.push(PUSHED)
    submitted = _submitted(mlrun_1_9)
    run, source = stage.until("running"), submitted.document["source"]
    assert source.startswith(f"{SERVICE}/archives/fraud.{run['id']}.")
    assert source.endswith(f"/{commit}.tar.gz")
    assert submitted.document["spec"]["image"] == "docker.io/mlrun/mlrun-kfp:1.9.2"
    saved = [one.path for one in mlrun_1_9.writes()]
    assert saved.index(next(path for path in saved if path.endswith("/projects/fraud"))) < saved.index(submitted.path)
    assert stage.http.get(source.removeprefix(SERVICE)).status_code == 200
    mlrun_1_9.finish("fraud", submitted.answer["run_id"], log="it went well\n")
    stage.until("succeeded")
    assert "it went well" in stage.get(f"/runs/{run['id']}/log")["text"]
    assert stage.http.get(source.removeprefix(SERVICE)).status_code == 404


def test_a_run_of_a_configuration_that_is_saved_no_more_is_refused(stage: InMlrun, mlrun_1_9: MlrunStandIn) -> None:
    stage.push(PUSHED)
    first = _submitted(mlrun_1_9)
    mlrun_1_9.finish("fraud", first.answer["run_id"], "error", error="ValueError: no rows")
    old = stage.until("failed")
    stage.push({"project.yaml": project_yaml("fraud", params={"rows": 2})})
    second = _submitted(mlrun_1_9, 2)
    mlrun_1_9.finish("fraud", second.answer["run_id"])
    stage.until("succeeded")
    stage.ask(f"/runs/{old['id']}/retry")
    assert "MLRun's runner takes the one that is saved" in stage.until("failed")["error"]["message"]
    assert len(_submits(mlrun_1_9)) == 2


def test_a_service_that_is_another_one_follows_what_was_submitted(stage: InMlrun, mlrun_1_9: MlrunStandIn) -> None:
    stage.push(PUSHED)
    submitted = _submitted(mlrun_1_9)
    stage.until("running")
    stage.restart()
    mlrun_1_9.finish("fraud", submitted.answer["run_id"])
    stage.until("succeeded")
    assert len(_submits(mlrun_1_9)) == 1


def test_a_cancelled_run_is_aborted(stage: InMlrun, mlrun_1_9: MlrunStandIn) -> None:
    stage.push(PUSHED)
    _submitted(mlrun_1_9)
    run = stage.until("running")
    stage.ask(f"/runs/{run['id']}/cancel")
    stage.until("cancelled")
    assert [one for one in mlrun_1_9.writes() if one.path.endswith("/abort")]


def test_a_run_of_a_tag_is_an_error_of_the_plan(stage: InMlrun, mlrun_1_9: MlrunStandIn) -> None:
    declared = {"refs": ["main", "refs/tags/v*"], "run": [{"workflow": "main", "on": "tag"}]}
    commit = stage.push({**PUSHED, ".gitops.yaml": gitops_yaml(declared)})
    stage.settle()
    stage.put("HEAD:refs/tags/v1")
    stage.hook(commit, ref="refs/tags/v1")
    stage.settle()
    assert "workflow main is to run for a tag" in _why_not(stage)
    assert _submits(mlrun_1_9) == []


def test_mlrun_fires_what_it_can_and_this_service_nothing(stage: InMlrun, mlrun_1_9: MlrunStandIn) -> None:
    stage.restart(schedules={"owner": "mlrun"})
    nightly = {"nightly": "* * * * *", "main": None}
    stage.push({**PUSHED, "project.yaml": project_yaml("fraud", nightly)})
    stage.settle()
    assert "fires after 1 minutes again" in _why_not(stage)
    stage.push(
        {"project.yaml": project_yaml("fraud", {"nightly": "0 2 * * 1-5"}), ".gitops.yaml": gitops_yaml({"run": []})}
    )
    stage.settle()
    scheduled = _submitted(mlrun_1_9).document
    assert scheduled["spec"]["schedule"] == "0 2 * * mon,tue,wed,thu,fri"
    commit = stage.push({"w.py": "pass  # new"})
    stage.settle()
    assert _submitted(mlrun_1_9, 2).document["source"].endswith(f"/{commit}.tar.gz")
    [schedule] = stage.get("/schedules")["items"]
    assert (schedule["name"], schedule["catch_up"]) == ("nightly", "none")
    assert stage.get("/runs")["items"] == []
    stage.push({"project.yaml": project_yaml("fraud", {"nightly": None})})
    stage.settle()
    assert [one.path.rpartition("/")[2] for one in mlrun_1_9.requests("DELETE")] == ["nightly"]
