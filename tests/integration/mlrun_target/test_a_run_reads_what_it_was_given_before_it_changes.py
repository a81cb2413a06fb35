"""The order of a project's saves and of what MLRun's own runner is given: a run reads its configuration before the next one is written."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from service import limits
from service.domain.states import RunState
from service.errors import LaunchFailed, LaunchHeld
from service.launchers import JobKind
from service.reconciler.in_mlrun import may_submit
from service.store import jobs, new_id, runs
from service.store.jobs import PodJob
from tests.integration.mlrun_target.recorder import Recorder
from tests.integration.mlrun_target.scene import PUSHED, beside
from tests.integration.reconciler.stage import Files, Stage, project_yaml
from tests.unit.store.conftest import database_url, postgres
from tests.waiting import until

__all__ = ["database_url", "postgres"]

NEWER: Files = {"project.yaml": project_yaml("fraud", params={"rows": 2})}


@pytest.fixture
def stage(tmp_path: Path, mlrun: Recorder, database_url: str | None) -> Iterator[Stage]:
    with beside(mlrun, tmp_path, store={"url": database_url}) as made:
        made.push(PUSHED)
        made.settle(but=())
        yield made


def given(stage: Stage, *, lines: int = 0, ago_s: float = 0.0) -> str:
    """A run of the project that MLRun has been given, and that has said so much."""
    [first] = stage.runs()
    run = replace(first, id=new_id(), launcher="mlrun", state=RunState.STARTING, sync=None, request=None)
    now = stage.store.now() - ago_s
    job = PodJob(id=run.id, launcher="mlrun", kind=JobKind.RUN, repository="fraud", commit=run.commit, created_at=now)
    stage.store.write(lambda conn: runs.add(conn, run))
    stage.store.write(lambda conn: jobs.add(conn, job))
    stage.store.write(lambda conn: jobs.take(conn, run.id, "uid", "MLRun has it", now=now))
    say(stage, run.id, lines)
    return run.id


def say(stage: Stage, run: str, lines: int) -> None:
    stage.store.write(lambda conn: jobs.append(conn, run, 0, ["{}"] * lines))


def rows(mlrun: Recorder) -> int:
    return int(mlrun.projects["fraud"]["spec"]["params"]["rows"])


def test_a_save_waits_for_a_run_that_has_not_read_yet(stage: Stage, mlrun: Recorder) -> None:
    run = given(stage)
    mlrun.forget_writes()
    newer = stage.push(NEWER)
    until(lambda: stage.get("/projects/fraud/drift")["unfinished"] == newer, "the save to be noted")
    assert mlrun.writes == []
    say(stage, run, 2)  # it has begun
    threading.Event().wait(1.5)  # longer than a save that waits looks again
    assert mlrun.writes == []
    say(stage, run, 3)
    until(lambda: stage.in_force() == newer, "the save")
    assert rows(mlrun) == 2


@pytest.mark.parametrize(
    ("lines", "ago_s"), [(3, 0.0), (0, limits.MLRUN_BEGINS_S + 1)], ids=["has begun its work", "waits for a place"]
)
def test_a_save_waits_for_no_other_run(stage: Stage, mlrun: Recorder, lines: int, ago_s: float) -> None:
    given(stage, lines=lines, ago_s=ago_s)
    newer = stage.push(NEWER)
    stage.settle()
    assert (stage.in_force(), rows(mlrun)) == (newer, 2)


def test_no_run_is_submitted_between_the_note_of_a_save_and_its_end(stage: Stage, mlrun: Recorder) -> None:
    [run] = stage.runs()
    ask = partial(stage.store.write, lambda conn: may_submit(mlrun.url, conn, run.id))
    ask()
    sent = mlrun.hold["PUT projects/fraud$"] = threading.Event()
    stage.push(NEWER)
    until(lambda: mlrun.held, "the save to write")
    with pytest.raises(LaunchHeld):
        ask()
    sent.set()
    stage.settle()
    with pytest.raises(LaunchFailed, match="the run has revision") as failed:
        ask()
    assert not failed.value.retry
