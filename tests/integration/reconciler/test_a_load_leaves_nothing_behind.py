"""Loads: kept by what they depend on, repeated when they were killed, and cleaned up however they end."""

from __future__ import annotations

import pytest

from service.errors import ClusterAway, GitopsError, LaunchFailed, StoreUnavailable
from service.launchers import EndReason, Job, JobKind
from service.store.models import work as table
from tests.integration.reconciler.stage import Stage, project_yaml
from tests.waiting import until


def loads(stage: Stage) -> int:
    return sum(job.kind is JobKind.LOAD for job in stage.launcher.told)


def test_the_same_tree_is_never_loaded_twice(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml()})
    stage.settle(but=())
    stage.push({}, message="nothing changed")
    stage.ask("/projects/fraud/sync")
    stage.settle(but=())
    assert loads(stage) == 1


def test_a_load_that_failed_leaves_no_files(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml(raises="a mistake")})
    until(lambda: stage.states() == ["failed"], "the failure")
    stage.settle(but=())
    assert stage.launcher.left() == []


def test_a_load_that_was_killed_is_begun_again_and_leaves_no_files(stage: Stage) -> None:
    with stage.launcher.loads_wait():
        stage.push({"project.yaml": project_yaml()})
        (job,) = until(lambda: stage.launcher.alive(JobKind.LOAD), "the load to begin")
        stage.launcher.kill(job)
    stage.settle(but=())
    assert stage.states() == ["succeeded"]
    assert loads(stage) == 2
    assert stage.launcher.left() == []


@pytest.mark.parametrize("error", [ClusterAway, LaunchFailed, StoreUnavailable])
def test_a_load_that_a_launcher_took_without_saying_so_is_ended_and_leaves_nothing(
    stage: Stage, error: type[GitopsError]
) -> None:
    ensure = stage.launcher.ensure

    def unheard(job: Job) -> None:
        ensure(job)
        raise error("the answer was lost")

    with stage.launcher.loads_wait(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage.launcher, "ensure", unheard)
        stage.push({"project.yaml": project_yaml()})
        (unheard_of,) = until(lambda: stage.launcher.told, "the load to be taken")
        until(lambda: "was lost" in stage.failing("sync", "fraud"), "the sync to be put off")
    stage.settle(but=())
    assert stage.states() == ["succeeded"]
    (seen,) = stage.launcher.observe({unheard_of.id: 0}, 0)
    assert seen.ended is EndReason.CANCELLED
    assert stage.launcher.left() == []


@pytest.mark.parametrize("is_over", [True, False], ids=["it is over", "the store was away"])
def test_a_load_that_another_replica_went_on_with_is_left_to_it(stage: Stage, is_over: bool) -> None:
    with stage.launcher.loads_wait(), pytest.MonkeyPatch.context() as patch:
        stage.push({"project.yaml": project_yaml()})
        (job,) = until(lambda: stage.launcher.alive(JobKind.LOAD), "the load to begin")
        taken = {"owner": "another", "fence": table.c.fence + 1}
        stage.store.write(lambda conn: conn.execute(table.update().where(table.c.kind == "sync").values(taken)))
        if is_over:
            stage.launcher.loaded(job, {"name": "fraud", "workflows": []})
        else:
            patch.setitem(stage.launcher.refuse, "observe", StoreUnavailable("it was away"))
        until(lambda: stage.at_work("sync") == 0, "the step to end")
    assert (stage.launcher.left(), stage.launcher.alive(JobKind.LOAD)) == ([job], [] if is_over else [job])


def test_a_kept_load_that_a_power_cut_spoiled_is_loaded_again(stage: Stage) -> None:
    commit = stage.push({"project.yaml": project_yaml()})
    stage.settle(but=())
    (kept,) = (stage.folder / "data" / "loads").glob("*.json")
    for spoiled in (b"", kept.read_bytes()[:40], b"\x00" * 4096):
        kept.write_bytes(spoiled)
        stage.ask("/projects/fraud/sync")
        stage.settle(but=())
    assert stage.states() == ["succeeded"] * 4
    assert stage.in_force() == commit
    assert loads(stage) == 4


def test_a_configuration_that_is_no_text_is_refused_at_once_and_in_plain_words(stage: Stage) -> None:
    stage.launcher.resolved = {"project": {"half": "half a character: \ud83d"}}
    stage.push({"project.yaml": project_yaml()})
    until(lambda: stage.states() == ["failed"], "the failure")
    (sync,) = stage.syncs()
    assert sync.error is not None
    assert sync.error["code"] == "load-failed"
