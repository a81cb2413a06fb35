"""The MLRun launcher on the strict stand-in for servers of 1.9 and 1.12, which takes nothing that MLRun's own schemas do not know."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.domain.projects import RunnerRule
from service.domain.states import RunState
from service.launchers import Job
from service.launchers.mlrun import MlrunLauncher
from service.mlrun_api import MlrunApi
from service.settings import Settings
from service.store import open_store
from tests.peers.followed import Followed
from tests.peers.mlrun_stand_in.process import MlrunStandIn
from tests.unit.runs_in_mlrun.conftest import a_job
from tests.waiting import until

pytestmark = [pytest.mark.runners, pytest.mark.slow]

_SUBMIT = "/workflows/main/submit$"
PIPELINE = "0a1b2c3d-1111-2222-3333-444455556666"
TOLD = {
    "kind": "slack",
    "name": "team",
    "message": "it ran",
    "severity": "info",
    "when": ["completed", "error"],
    "params": {"channel": "#ml"},
    "secret_params": {"webhook": "https://hooks.slack.com/services/T/B/x"},
}


@pytest.fixture
def run(mlrun_stand_in: MlrunStandIn, tmp_path: Path) -> Iterator[Followed]:
    settings = Settings.model_validate({"data_dir": tmp_path / "data", "mlrun": {"api": mlrun_stand_in.url}})
    api, store = MlrunApi(settings), open_store(settings)
    api.put_project("demo", {"metadata": {"name": "demo"}, "spec": {"source": "git://git.example.com/demo.git#main"}})
    mlrun_stand_in.forget_requests()
    launcher = MlrunLauncher(store, api)
    job: Job = replace(a_job(), runner=RunnerRule(node_selector={"pool": "cpu"}))
    yield Followed(launcher, job)
    launcher.close()
    api.close()
    store.close()


def _uid(run: Followed) -> str:
    return str(run.events()[0]["uid"])


def test_a_run_from_submit_to_its_results(mlrun_stand_in: MlrunStandIn, run: Followed) -> None:
    run.launcher.ensure(run.job)
    run.until(RunState.RUNNING)
    mlrun_stand_in.finish("demo", _uid(run), log="all went well\n", workflow_id="wf")
    run.until(RunState.SUCCEEDED)
    assert "all went well" in run.log()
    [submitted] = [one for one in mlrun_stand_in.writes() if one.path.endswith("/submit")]
    assert submitted.dropped == ()
    assert submitted.document["spec"]["workflow_runner_node_selector"] == {"pool": "cpu"}
    assert submitted.path.endswith("/workflows/main/submit")


@pytest.fixture(params=["kfp", "remote", "remote:kfp"])
def kubeflow(run: Followed, request: pytest.FixtureRequest) -> Followed:
    """A run of a workflow of Kubeflow, whatever its project.yaml calls the engine."""
    resolved = {"project": {"spec": {"notifications": [TOLD]}}}
    run.job = replace(run.job, payload=run.job.payload | {"engine": request.param, "resolved": resolved})
    return run


def test_a_workflow_of_kubeflow_is_asked_for_whole_and_followed_to_its_end(
    mlrun_stand_in: MlrunStandIn, kubeflow: Followed
) -> None:
    run, uid = kubeflow, _begun(kubeflow)
    [submitted] = [one for one in mlrun_stand_in.writes() if one.path.endswith("/submit")]
    assert (submitted.status, submitted.dropped) == (202, ())
    asked, spec = submitted.document, submitted.document["spec"]
    assert (spec["engine"], spec["image"]) == ("kfp", "docker.io/mlrun/mlrun-kfp:1.9.2")
    assert spec["workflow_runner_node_selector"] == {"pool": "cpu"}
    assert asked["source"] == run.job.payload["source_url"]
    assert asked["notifications"] == [TOLD]

    mlrun_stand_in.change_run("demo", uid, {"status.results.workflow_id": PIPELINE})
    _step(mlrun_stand_in, "train", "running")
    until(lambda: run.look() and "step.started" in [event["event"] for event in run.events()], "the step")
    _step(mlrun_stand_in, "train", "completed", rows=3)
    mlrun_stand_in.finish("demo", uid, log="all went well\n", workflow_id=PIPELINE, workflow_state="Succeeded")
    assert run.until(RunState.SUCCEEDED).results == {"train": {"rows": 3}}
    told = [event["event"] for event in run.events()]
    assert told == ["claimed", "started", "step.started", "step.finished", "finished"]


def test_a_workflow_of_kubeflow_that_failed_says_which_step_did(
    mlrun_stand_in: MlrunStandIn, kubeflow: Followed
) -> None:
    run, uid = kubeflow, _begun(kubeflow)
    _step(mlrun_stand_in, "train", "error", error="ValueError: no rows")
    mlrun_stand_in.finish(
        "demo", uid, "error", error="RuntimeError: Workflow main failed, state=Failed", workflow_id=PIPELINE
    )
    error = run.until(RunState.FAILED).error
    assert error is not None
    assert (error["step"], error["message"]) == ("train", "ValueError: no rows")


def test_an_abort_ends_what_the_runner_started_in_kubeflow(mlrun_stand_in: MlrunStandIn, kubeflow: Followed) -> None:
    run, uid = kubeflow, _begun(kubeflow)
    mlrun_stand_in.change_run("demo", uid, {"status.results.workflow_id": PIPELINE})
    step = _step(mlrun_stand_in, "train", "running")
    mlrun_stand_in.forget_requests()
    run.launcher.cancel(run.job.id)
    run.until(RunState.CANCELLED)
    asked = [(one.path.partition("/demo/")[2], one.status) for one in mlrun_stand_in.writes()]
    assert asked[0] == (f"runs/{uid}/abort", 202)
    can = mlrun_stand_in.version != "1.9.2"
    assert asked[-1] == (f"pipelines/{PIPELINE}/terminate" if can else f"runs/{step}/abort", 202)


def _begun(run: Followed) -> str:
    """MLRun's uid of it, once it runs."""
    run.launcher.ensure(run.job)
    run.until(RunState.RUNNING)
    return _uid(run)


def _step(mlrun: MlrunStandIn, name: str, state: str, *, error: str = "", **results: Any) -> str:
    """Kubeflow's pod of a step stores how it stands, by MLRun's client; its uid."""
    uid = uuid.uuid5(uuid.NAMESPACE_OID, name).hex
    labels = {"workflow": PIPELINE, "kind": "job"}
    status = {"state": state, "results": results, **({"error": error} if error else {})}
    answer = httpx.post(
        f"{mlrun.url}/api/v1/projects/demo/runs/{uid}",
        json={"metadata": {"name": name, "labels": labels}, "spec": {}, "status": status},
        headers={"x-mlrun-client-version": mlrun.version, "x-mlrun-client-python-version": "3.9.18"},
        trust_env=False,
    )
    answer.raise_for_status()
    return uid


def test_a_submit_whose_answer_is_lost_is_looked_up(mlrun_stand_in: MlrunStandIn, run: Followed) -> None:
    mlrun_stand_in.fail(path=_SUBMIT, after=True, drop=True)
    run.launcher.ensure(run.job)
    run.until(RunState.RUNNING)
    mlrun_stand_in.finish("demo", _uid(run))
    run.until(RunState.SUCCEEDED)
    assert len([one for one in mlrun_stand_in.writes() if one.path.endswith("/submit")]) == 1


def test_a_server_error_after_the_run_was_begun_is_no_second_run(mlrun_stand_in: MlrunStandIn, run: Followed) -> None:
    mlrun_stand_in.fail(path=_SUBMIT, after=True, status=502, body="bad gateway")
    run.launcher.ensure(run.job)
    run.launcher.ensure(run.job)
    run.until(RunState.RUNNING)
    assert len([one for one in mlrun_stand_in.writes() if one.path.endswith("/submit")]) == 1


def test_an_abort(mlrun_stand_in: MlrunStandIn, run: Followed) -> None:
    run.launcher.ensure(run.job)
    run.until(RunState.RUNNING)
    run.launcher.cancel(run.job.id)
    run.until(RunState.CANCELLED)
    assert [one.path for one in mlrun_stand_in.writes() if one.path.endswith("/abort")]


def test_a_failed_run_has_mlruns_error(mlrun_stand_in: MlrunStandIn, run: Followed) -> None:
    run.launcher.ensure(run.job)
    run.until(RunState.RUNNING)
    mlrun_stand_in.finish("demo", _uid(run), "error", error="ValueError: no rows")
    assert run.until(RunState.FAILED).reason == "ValueError: no rows"


def test_an_outage_while_it_runs_says_nothing(mlrun_stand_in: MlrunStandIn, run: Followed) -> None:
    run.launcher.ensure(run.job)
    run.until(RunState.RUNNING)
    mlrun_stand_in.fail(path="/runs", times=0, status=503)
    for _ in range(8):
        assert run.look().state is RunState.RUNNING
    mlrun_stand_in.heal()
    mlrun_stand_in.finish("demo", _uid(run))
    until(lambda: run.look().state is RunState.SUCCEEDED, "its end")
