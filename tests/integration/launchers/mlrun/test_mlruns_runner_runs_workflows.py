"""Runs by MLRun's own runner on its real server: submitted by us, run in MLRun's pods, their logs, results and ends ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service.domain.states import RunState
from service.errors import MlrunAway
from service.launchers import Job
from service.launchers.mlrun import MlrunLauncher, looking
from service.mlrun_api import MlrunApi
from service.store import Store, jobs
from tests.peers.followed import Followed
from tests.peers.mlrun_api.place import MlrunPlace
from tests.waiting import until

from .conftest import PROJECT

pytestmark = [pytest.mark.mlrun_api, pytest.mark.kubernetes, pytest.mark.runner, pytest.mark.slow]

_RUN_S = 150.0
Made = Callable[..., Job]


def _uid(store: Store, job: Job) -> str:
    with store.read() as connection:
        row = jobs.get(connection, job.id)
    assert row.claimer is not None
    return row.claimer


def test_a_run_completes_in_mlruns_pod_and_its_log_and_results_are_ours(
    saved: MlrunPlace, launcher: MlrunLauncher, store: Store, a_job: Made
) -> None:
    run = Followed(launcher, a_job({"seconds": 0}))
    launcher.ensure(run.job)
    launcher.ensure(run.job)
    done = run.until(RunState.SUCCEEDED, _RUN_S)
    assert done.results == {"double-run": {"product": 42}}
    until(lambda: launcher.logs(run.job.id).complete, "the end of the log")
    # A nought was asked for, and the saved project says 7.
    assert "doubling 2 in 0" in run.log()
    told = [event["event"] for event in run.events()]
    assert told == ["claimed", "started", "step.started", "step.finished", "finished"]
    kept = saved.client.run(PROJECT, _uid(store, run.job))
    [pod] = [pod for pod in saved.pods() if pod["metadata"]["labels"].get("mlrun/uid") == kept["metadata"]["uid"]]
    assert pod["spec"]["containers"][0]["image"] == "docker.io/mlrun/mlrun-kfp:1.9.2"
    # The project gives this workflow a schedule, and an older server takes that for a run's own.
    assert saved.client.schedules(PROJECT) == {}


def test_mlrun_keeps_of_a_submit_the_address_of_its_source_and_nothing_else_of_ours(
    saved: MlrunPlace, launcher: MlrunLauncher, store: Store, a_job: Made
) -> None:
    run = Followed(launcher, a_job({"seconds": 0}))
    launcher.ensure(run.job)
    kept = saved.client.run(PROJECT, _uid(store, run.job))
    assert kept["spec"]["parameters"]["url"] == run.job.payload["source_url"]
    assert kept["metadata"]["name"] == "workflow-runner-main"
    assert run.job.id not in str({**kept, "spec": {**kept["spec"], "parameters": {}}})
    run.until(RunState.SUCCEEDED, _RUN_S)


def test_an_answer_that_was_lost_is_looked_up_and_the_run_followed(
    api: MlrunApi, launcher: MlrunLauncher, saved: MlrunPlace, a_job: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = api.submit

    def lost(*words: Any) -> Any:
        submit(*words)
        raise MlrunAway("the connection broke before the answer came", sent=True)

    monkeypatch.setattr(api, "submit", lost)
    run = Followed(launcher, a_job({"seconds": 0}))
    launcher.ensure(run.job)
    run.until(RunState.SUCCEEDED, _RUN_S)
    source = run.job.payload["source_url"]
    listed = saved.client.runs(PROJECT, "workflow-runner-main")
    assert sum(one["spec"]["parameters"].get("url") == source for one in listed) == 1


def test_a_run_is_aborted_with_its_pod(saved: MlrunPlace, launcher: MlrunLauncher, store: Store, a_job: Made) -> None:
    run = Followed(launcher, a_job({"seconds": 300}))
    launcher.ensure(run.job)
    until(lambda: run.look() and "doubling 2 in 300" in run.log(), "the log of a running workflow", _RUN_S)
    uid = _uid(store, run.job)
    launcher.cancel(run.job.id)
    run.until(RunState.CANCELLED, _RUN_S)
    assert saved.client.run(PROJECT, uid)["status"]["state"] == "aborted"
    until(lambda: not _has_pod(saved, uid), "the pod to go", 60)


def test_a_broken_source_and_a_failed_step_say_why(launcher: MlrunLauncher, a_job: Made) -> None:
    broken, bad = (
        Followed(launcher, a_job(repository="nothing-there")),
        Followed(launcher, a_job(workflow="bad")),
    )
    for run in (broken, bad):
        launcher.ensure(run.job)
    broken.until(RunState.FAILED, _RUN_S)
    until(lambda: launcher.logs(broken.job.id).complete, "the end of the log")
    assert "nothing-there.git/' not found" in broken.log()
    failed = bad.until(RunState.FAILED, _RUN_S)
    assert failed.error is not None
    assert "no rows to double" in failed.error["message"]


def test_a_run_that_is_deleted_by_hand_is_lost(
    saved: MlrunPlace, launcher: MlrunLauncher, store: Store, a_job: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "_GONE_S", 3.0)
    run = Followed(launcher, a_job({"seconds": 300}))
    launcher.ensure(run.job)
    uid = _uid(store, run.job)
    until(lambda: run.look() and "doubling 2 in 300" in run.log(), "the log of a running workflow", _RUN_S)

    def deleted() -> bool:
        """Its pod lives on, and puts the run there again whenever it has something to say."""
        saved.client.http.delete(f"/projects/{PROJECT}/runs/{uid}")
        return run.look().state is RunState.LOST

    until(deleted, "the run to be lost", 120)
    assert f"MLRun's run {uid} was deleted" in run.look().reason


def _has_pod(place: MlrunPlace, uid: str) -> bool:
    return any(pod["metadata"]["labels"].get("mlrun/uid") == uid for pod in place.pods())
