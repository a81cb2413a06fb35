"""Another `schedules.owner`, or another MLRun, is carried out without a commit, and until then nobody fires but who did before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy import Connection

from service.domain.states import RunState
from service.errors import LaunchFailed
from service.reconciler.in_mlrun import as_in_force, source_for_mlrun
from service.reconciler.launch import _take_slot
from service.reconciler.rooms import Rooms
from service.settings import Settings
from service.store import new_id, projects, runs, saved, schedules, work
from service.store.runs import Run
from tests.integration.mlrun_target.recorder import Recorder
from tests.integration.mlrun_target.scene import beside
from tests.integration.reconciler.stage import Stage, project_yaml
from tests.integration.reconciler.test_schedules_fire_each_time_once import fire, fires, slept
from tests.waiting import until

PUSHED: dict[str, str | bytes | None] = {
    "project.yaml": project_yaml("fraud", {"main": None, "night": "0 2 * * *"}),
    "w.py": "pass",
}
MLRUN, GITOPS = {"owner": "mlrun"}, {"owner": "gitops"}


@pytest.fixture
def stage(tmp_path: Path, mlrun: Recorder) -> Iterator[Stage]:
    with beside(mlrun, tmp_path) as made:
        yield made


def recorded(stage: Stage) -> tuple[str, str]:
    """Which MLRun has the project, and who fires."""
    with stage.store.read() as conn:
        last = saved.find(conn, "fraud")
    return (last.saved.api, last.saved.clock) if last else ("", "")


def test_it_goes_to_mlrun_and_comes_back_by_a_restart_alone_and_nothing_runs(stage: Stage, mlrun: Recorder) -> None:
    stage.push(PUSHED)
    stage.settle(but=())
    stage.restart(schedules=MLRUN)
    until(lambda: recorded(stage) == (mlrun.url, "mlrun"), "MLRun to have the clock")
    assert [name for _, name in mlrun.schedules] == ["night"]
    stage.restart(schedules=GITOPS)
    until(lambda: recorded(stage) == (mlrun.url, "gitops"), "this service to have it")
    assert mlrun.schedules == {}
    stage.restart()
    stage.settle(but=())
    assert stage.states() == ["succeeded"] * 3
    assert [run.workflow for run in stage.runs()] == ["main"]


def test_ours_fires_nothing_before_mlrun_has_let_go(stage: Stage, mlrun: Recorder) -> None:
    stage.restart(schedules=MLRUN)
    stage.push(PUSHED)
    stage.settle(but=())
    mlrun.fail["DELETE projects/fraud/schedules"] = (503, 1000)
    stage.restart(schedules=GITOPS)
    until(lambda: stage.failing("sync", "fraud") != "", "MLRun to be asked")
    schedule = slept(stage, 1.001)
    _fire(stage, schedule)
    assert fires(stage, schedule) == []
    mlrun.fail.clear()
    stage.hurry("sync", attempts=0)
    until(lambda: recorded(stage) == (mlrun.url, "gitops"), "this service to have the clock")
    fire(stage, slept(stage, 1.001))
    assert len(fires(stage, schedule)) == 1


def test_ours_fires_until_mlrun_has_taken_over(stage: Stage, mlrun: Recorder) -> None:
    stage.push(PUSHED)
    stage.settle(but=())
    mlrun.fail["POST projects/fraud/workflows"] = (503, 1000)
    stage.restart(schedules=MLRUN)
    until(lambda: stage.failing("sync", "fraud") != "", "MLRun to be asked")
    schedule = slept(stage, 1.001)
    _fire(stage, schedule)
    assert fires(stage, schedule) == ["fired"]


def _fire(stage: Stage, schedule: str) -> None:
    """While a sync waits for MLRun, which is not waited for."""

    def is_done() -> bool:
        with stage.store.read() as conn:
            found = schedules.find(conn, schedule)
            return found is not None and found.next_due is not None and found.next_due > stage.store.now()

    now = stage.store.now()
    stage.store.write(lambda conn: work.want(conn, "fire", schedule, now=now))
    until(is_done, "the schedule to be looked at")


def test_another_mlrun_gets_what_is_in_force(stage: Stage, mlrun: Recorder) -> None:
    commit = stage.push(PUSHED)
    stage.settle(but=())
    with Recorder() as other:
        stage.restart(mlrun={"api": other.url})
        until(lambda: recorded(stage)[0] == other.url, "the other one to have it")
        assert other.projects["fraud"]["spec"]["source"].endswith(f"/{commit}.tar.gz")
        stage.stop()


def test_an_mlrun_that_is_new_gets_what_is_in_force(stage: Stage, mlrun: Recorder) -> None:
    settings = {"api": mlrun.url}
    stage.restart(mlrun={})
    stage.push(PUSHED)
    stage.settle(but=())
    assert mlrun.projects == {}
    stage.restart(mlrun=settings)
    until(lambda: recorded(stage)[0] == mlrun.url, "it to be saved")
    assert "fraud" in mlrun.projects


def test_a_run_goes_to_an_mlrun_only_if_that_has_its_configuration(stage: Stage, mlrun: Recorder) -> None:
    stage.push(PUSHED)
    stage.settle(but=())
    [run] = stage.runs()

    def source(address: str) -> str:
        known = {"mlrun_address": address, "settings": Settings.model_validate(stage.settings), "repository": str}
        return stage.store.write(lambda conn: source_for_mlrun(cast(Rooms, SimpleNamespace(**known)), conn, run))

    assert f"/archives/fraud.{run.id}." in source(mlrun.url)
    with pytest.raises(LaunchFailed, match="has not been given revision") as failed:
        source("http://other")
    assert failed.value.retry


def test_a_fire_that_waited_takes_the_revision_that_is_in_force_by_then(stage: Stage, mlrun: Recorder) -> None:
    stage.push(PUSHED)
    stage.settle(but=())
    fire(stage, slept(stage, 1.001))
    old = stage.runs()[-1]
    new = stage.push({"project.yaml": project_yaml("fraud", {"main": None, "night": "0 2 * * *"}, params={"rows": 2})})
    stage.settle(but=())
    with stage.store.read() as conn:
        in_force = projects.get(conn, "fraud").in_force
    of_push = stage.runs()[0]
    assert (old.workflow, old.revision != in_force, of_push.revision) == ("night", True, old.revision)
    begun = [_begun(stage, replace(one, id=new_id(), due=one.due and one.due + 1)) for one in (old, of_push)]
    assert [(one.revision, one.commit) for one in begun] == [(in_force, new), (of_push.revision, of_push.commit)]
    stage.push({"project.yaml": project_yaml("fraud", {"main": None})})
    until(lambda: len(stage.states()) == 3 and stage.states()[-1] == "succeeded", "the sync")
    with stage.store.read() as conn:
        assert as_in_force(conn, old) == {}


def _begun(stage: Stage, run: Run) -> Run:
    """As MLRun's launcher begins it, after it has waited."""
    waited = replace(
        run, launcher="mlrun", state=RunState.QUEUED, started_at=None, ended_at=None, request=None, sync=None
    )
    settings = Settings.model_validate(stage.settings)
    known = {
        "launchers": {"mlrun": None},
        "settings": settings,
        "store": stage.store,
        "images": None,
        "mlrun_address": settings.mlrun.api,
    }

    def change(conn: Connection) -> Run | None:
        runs.add(conn, waited)
        return _take_slot(cast(Rooms, SimpleNamespace(**known)), conn, waited.id)

    found = stage.store.write(change)
    assert found is not None
    assert found.state == RunState.STARTING
    return found
