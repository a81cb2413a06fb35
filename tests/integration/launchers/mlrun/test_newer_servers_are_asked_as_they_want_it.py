"""The MLRun launcher on the strict stand-in for servers of 1.9 and 1.12, which takes nothing that MLRun's own schemas do not know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

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
