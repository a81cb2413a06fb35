from __future__ import annotations

from typing import Any

import pytest

from service.errors import Gone
from service.launchers import EndReason, JobKind
from service.launchers.callbacks import Callbacks
from service.launchers.kubernetes import names
from service.store import jobs
from service.store.jobs import PodJob
from tests.integration.reconciler.stage import Files, Stage, gitops_yaml, project_yaml
from tests.waiting import until

RULE = {"workflow": "main", "on": "push"}
BOTH = {"policy": {"launchers": ["process", "kubernetes"], "images": ["reg.example.com/*"]}}


def files(**runner: Any) -> Files:
    return {".gitops.yaml": gitops_yaml({"run": [RULE], "runner": runner}), "project.yaml": project_yaml()}


def ended(stage: Stage) -> list[str]:
    until(lambda: stage.runs() and all(run.ended_at for run in stage.runs()), "all runs to end")
    return [str(run.state) for run in stage.runs()]


def starting(stage: Stage) -> str:
    """A run in a pod that does not begin."""
    stage.restart(**BOTH)
    stage.pods.runs_begin = False
    stage.push(files(launcher="kubernetes"))
    [job] = until(lambda: stage.pods.alive(JobKind.RUN), "a run to be told to its launcher")
    return job


def test_a_project_is_loaded_and_run_where_it_says(stage: Stage) -> None:
    stage.restart(**BOTH)
    stage.push(files(launcher="kubernetes", image="reg.example.com/runner:1"))
    assert ended(stage) == ["succeeded"]
    assert [(job.kind, job.image, job.project, job.commit) for job in stage.pods.told] == [
        (kind, "reg.example.com/runner:1", "fraud", stage.in_force()) for kind in (JobKind.LOAD, JobKind.RUN)
    ]
    assert not stage.launcher.told
    [run] = stage.runs()
    assert (run.launcher, run.image) == ("kubernetes", "reg.example.com/runner:1")


def test_pods_have_mlruns_image_where_nobody_names_another(stage: Stage) -> None:
    stage.restart(**BOTH)
    stage.push(files(launcher="kubernetes"))
    ended(stage)
    assert {job.image for job in stage.pods.told} == {"docker.io/mlrun/mlrun-kfp:1.9.2"}


def test_an_image_that_nobody_held_against_the_policy_runs_in_no_pod(stage: Stage) -> None:
    """A plan for processes allows any, since none is pulled; then the operator has runs in pods."""
    document = project_yaml().replace("path: w.py", "path: w.py\n    image: evil.example.com/runner:7")
    stage.push({"project.yaml": document})
    assert ended(stage) == ["succeeded"]
    stage.restart(**BOTH, launcher={"kind": "kubernetes"})
    asked = stage.ask("/projects/fraud/runs", {"workflow": "main"})["run"]
    until(lambda: stage.run(asked).ended_at, "the run to end")
    assert (stage.run(asked).image, stage.run(asked).state) == ("evil.example.com/runner:7", "failed")
    error = stage.run(asked).error
    assert error is not None and "'evil.example.com/runner:7' is not allowed" in error["message"]
    assert not stage.pods.told


def test_a_launcher_that_the_operator_does_not_keep_is_refused(stage: Stage) -> None:
    stage.push(files(launcher="kubernetes"))
    stage.settle()
    assert "runner.launcher 'kubernetes' is not allowed" in stage.get("/repositories/fraud")["error"]


def test_what_a_run_waits_for_is_its_reason(stage: Stage) -> None:
    job = starting(stage)
    stage.pods.waits(job, "0/3 nodes are available: 3 Insufficient memory")
    until(lambda: "Insufficient memory" in stage.run(job).reason, "its reason")
    stage.pods.waits(job, "the image cannot be pulled")
    until(lambda: stage.run(job).reason == "the image cannot be pulled", "another reason")
    assert stage.run(job).state == "starting"


@pytest.mark.parametrize(
    ("reason", "kind"), [(EndReason.INCOMPATIBLE, "RunnerIncompatible"), (EndReason.NOT_STARTED, "NotStarted")]
)
def test_a_run_that_could_not_begin_fails_with_what_was_found(stage: Stage, reason: EndReason, kind: str) -> None:
    job = starting(stage)
    stage.pods.kill(job, reason, "mlrun is not in the image")
    assert ended(stage) == ["failed"]
    assert stage.run(job).error == {"type": kind, "message": "mlrun is not in the image"}
    assert stage.pods.starts[job] == 1


@pytest.mark.parametrize("reason", [EndReason.EVICTED, EndReason.NODE_LOST, EndReason.DELETED])
def test_a_run_that_the_cluster_took_before_it_began_is_started_again(stage: Stage, reason: EndReason) -> None:
    job = starting(stage)
    stage.pods.runs_begin = True
    stage.pods.kill(job, reason, "its node is gone")
    assert ended(stage) == ["succeeded"]
    assert stage.pods.starts[job] == 2


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (EndReason.EVICTED, "Evicted"),
        (EndReason.NODE_LOST, "NodeLost"),
        (EndReason.DELETED, "Deleted"),
        (EndReason.OUT_OF_MEMORY, "OutOfMemory"),
    ],
)
def test_a_run_that_the_cluster_took_is_lost_and_says_how(stage: Stage, reason: EndReason, kind: str) -> None:
    stage.restart(**BOTH)
    stage.pods.runs_end = False
    stage.push(files(launcher="kubernetes"))
    [job] = until(lambda: stage.pods.alive(JobKind.RUN), "the run to run")
    stage.pods.kill(job, reason, "node n1 took it")
    assert ended(stage) == ["lost"]
    said = "node n1 took it; what the workflow did is not known"
    assert (stage.run(job).error, stage.run(job).reason) == ({"type": kind, "message": said}, said)


def test_packages_of_its_own_are_refused_for_an_image_that_nobody_named(stage: Stage) -> None:
    stage.restart(**BOTH)
    stage.push(files(launcher="kubernetes", requirements_file="r.txt"))
    stage.settle()
    [sync] = stage.syncs()
    assert sync.state == "failed"
    assert sync.error is not None and "runner.image" in sync.error["mend"]
    assert not stage.pods.told
    stage.push(files(launcher="kubernetes", requirements_file="r.txt", image="reg.example.com/mine:1"))
    assert ended(stage) == ["succeeded"]


def test_a_queued_run_goes_where_jobs_run_now(stage: Stage) -> None:
    stage.restart(**BOTH, launcher={"concurrency": 1})
    stage.pods.runs_end = False
    stage.push({**files(launcher="kubernetes"), "project.yaml": project_yaml(workflows={"main": None, "other": None})})
    [first] = until(lambda: stage.pods.alive(JobKind.RUN), "a run to run")
    waiting = stage.ask("/projects/fraud/runs", {"workflow": "other"})["run"]
    stage.restart(policy={"launchers": []})
    until(lambda: stage.run(waiting).state == "succeeded", "the queued one to run")
    assert (stage.run(waiting).launcher, stage.run(waiting).image) == ("process", "docker.io/mlrun/mlrun-kfp:1.9.2")
    assert stage.launcher.starts[waiting] == 1
    assert stage.run(first).state == "lost"
    assert "launcher kubernetes" in stage.run(first).reason


def test_what_runs_by_a_launcher_that_was_taken_away_is_told_to_end_and_how_to_remove_it(stage: Stage) -> None:
    stage.restart(**BOTH)
    stage.pods.runs_end = False
    stage.push(files(launcher="kubernetes"))
    [run] = until(lambda: stage.pods.alive(JobKind.RUN), "a run to run")
    for job, launcher in ((run, "kubernetes"), ("another", "process")):
        row = PodJob(id=job, launcher=launcher, kind=JobKind.RUN, repository="fraud", commit="a", created_at=1.0)
        stage.store.write(lambda conn, row=row: jobs.add(conn, row))  # type: ignore[misc]
    stage.restart(policy={"launchers": []})
    assert stage.run(run).state == "lost"
    assert f"kubectl delete jobs --selector {names.JOB}={names.job_label(run)}" in stage.run(run).reason
    with pytest.raises(Gone):
        Callbacks(stage.store).claim(run, "c" * 24, {})
    assert Callbacks(stage.store).claim("another", "c" * 24, {}) == 1


@pytest.mark.parametrize(
    ("reason", "starts", "state"),
    [(EndReason.DELETED, 3, "failed"), (EndReason.INCOMPATIBLE, 1, "failed"), (EndReason.OUT_OF_MEMORY, 1, "failed")],
)
def test_a_load_that_the_cluster_ended_is_repeated_only_where_that_may_help(
    stage: Stage, reason: EndReason, starts: int, state: str
) -> None:
    stage.restart(**BOTH)
    with stage.pods.loads_wait():
        stage.push(files(launcher="kubernetes"))
        for _ in range(starts):
            [load] = until(lambda: stage.pods.alive(JobKind.LOAD), "a load")
            stage.pods.kill(load, reason, "no mlrun in it")
        until(lambda: stage.states() == [state], "the sync to end")
    error = stage.syncs()[0].error
    assert error is not None
    assert "no mlrun in it" in error["what"]
    assert len(stage.pods.told) == starts
