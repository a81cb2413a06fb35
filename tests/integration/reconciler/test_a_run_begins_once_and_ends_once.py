"""Launch, watch and cancel against each other, and jobs that end in every way."""

from __future__ import annotations

import threading

from service.errors import ClusterAway
from service.launchers import EndReason, JobKind
from service.reconciler.launch import LAUNCH_ATTEMPTS
from service.store import work
from tests.integration.reconciler.stage import Stage, gitops_yaml, project_yaml
from tests.peers.memory_launcher import refused
from tests.waiting import until


def running(stage: Stage, count: int = 1, project: str = "fraud") -> list[str]:
    """The ids of its running runs, once there are so many."""
    return until(
        lambda: (ids := [r.id for r in stage.runs(project) if r.state == "running"]) and len(ids) == count and ids,
        f"{count} running",
    )


def ended(stage: Stage, project: str = "fraud") -> list[str]:
    stage.settle(but=())
    return [str(run.state) for run in stage.runs(project)]


def test_a_run_killed_in_the_middle_is_lost_and_only_a_retry_repeats_it(stage: Stage) -> None:
    stage.launcher.runs_end = False
    stage.push({"project.yaml": project_yaml()})
    (run,) = running(stage)
    stage.launcher.kill(run)
    assert ended(stage) == ["lost"]
    stage.launcher.runs_end = True
    stage.ask(f"/runs/{run}/retry")
    assert ended(stage) == ["lost", "succeeded"]
    assert stage.launcher.starts[run] == 1


def test_a_running_run_is_cancelled_and_its_files_are_cleaned_up(stage: Stage) -> None:
    stage.launcher.runs_end = False
    stage.push({"project.yaml": project_yaml()})
    (run,) = running(stage)
    stage.ask(f"/runs/{run}/cancel")
    assert ended(stage) == ["cancelled"]
    assert stage.launcher.left() == []
    stage.ask(f"/runs/{run}/cancel", status=409)


def test_a_run_cancelled_while_it_waits_never_starts(stage: Stage) -> None:
    stage.launcher.runs_end = False
    stage.push({"project.yaml": project_yaml()})
    (first,) = running(stage)
    second = stage.ask("/projects/fraud/runs", {"workflow": "main"})["run"]
    stage.ask(f"/runs/{second}/cancel")
    stage.launcher.finish(first)
    assert ended(stage) == ["succeeded", "cancelled"]
    assert stage.launcher.starts[second] == 0


def test_a_run_cancelled_by_many_at_any_moment_ends_once(stage: Stage) -> None:
    stage.launcher.runs_end = False
    stage.push({"project.yaml": project_yaml()})
    run = until(lambda: [r.id for r in stage.runs()], "the run to be queued")[0]
    people = [threading.Thread(target=lambda: stage.http.post(f"/api/v1/runs/{run}/cancel", json={})) for _ in range(8)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert ended(stage) == ["cancelled"]
    assert stage.launcher.starts[run] <= 1
    assert stage.launcher.alive(JobKind.RUN) == []


def test_of_queued_runs_of_a_workflow_the_newest_stays(stage: Stage) -> None:
    stage.launcher.runs_end = False
    first = stage.push({"project.yaml": project_yaml()})
    (run,) = running(stage)
    stage.push({"a.py": "2"})
    stage.settle()
    third = stage.push({"a.py": "3"})
    stage.settle()
    stage.launcher.runs_end = True
    stage.launcher.finish(run)
    assert ended(stage) == ["succeeded", "superseded", "succeeded"]
    assert [job.payload["project"]["name"] for job in stage.launcher.told if job.kind is JobKind.RUN] == ["fraud"] * 2
    assert [r.commit for r in stage.runs() if r.state == "succeeded"] == [first, third]


def test_with_queue_every_push_has_its_turn_in_order(stage: Stage) -> None:
    rule = {"workflow": "main", "on": "push", "concurrency": "queue"}
    stage.launcher.runs_end = False
    commits = [stage.push({".gitops.yaml": gitops_yaml({"run": [rule]}), "project.yaml": project_yaml()})]
    (run,) = running(stage)
    for number in range(3):
        commits.append(stage.push({"a.py": str(number)}))
        stage.settle()
    stage.launcher.runs_end = True
    stage.launcher.finish(run)
    assert ended(stage) == ["succeeded"] * 4
    started = [job.id for job in stage.launcher.told if job.kind is JobKind.RUN]
    assert started == [r.id for r in stage.runs()]
    assert [r.commit for r in stage.runs()] == commits


def test_with_cancel_running_the_newer_push_takes_the_place(stage: Stage) -> None:
    rule = {"workflow": "main", "on": "push", "concurrency": "cancel-running"}
    stage.launcher.runs_end = False
    stage.push({".gitops.yaml": gitops_yaml({"run": [rule]}), "project.yaml": project_yaml()})
    running(stage)
    stage.push({"a.py": "2"})
    until(lambda: [str(r.state) for r in stage.runs()] == ["superseded", "running"], "the newer one to run")


def test_no_more_run_at_once_than_the_operator_allows(stage: Stage) -> None:
    stage.restart(launcher={"concurrency": 2})
    stage.launcher.runs_end = False
    many = {f"w{number}": None for number in range(5)}
    rules = [{"workflow": name, "on": "push"} for name in many]
    stage.push({".gitops.yaml": gitops_yaml({"run": rules}), "project.yaml": project_yaml(workflows=many)})
    most = 0
    for _ in range(5):
        alive = until(lambda: stage.launcher.alive(JobKind.RUN), "a run to run")
        most = max(most, len(alive))
        stage.launcher.finish(alive[0])
    assert ended(stage) == ["succeeded"] * 5
    assert most <= 2
    assert set(stage.launcher.starts.values()) == {1}


def test_a_run_that_cannot_be_started_fails_with_its_reason_and_can_never_start_later(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml()})
    stage.settle(but=())
    stage.launcher.refuse["ensure"] = ValueError("a bug")
    run = stage.ask("/projects/fraud/runs", {"workflow": "main"})["run"]
    until(lambda: stage.failing("launch", run), "the launch to fail")
    stage.launcher.refuse["ensure"] = refused("there is no room")
    stage.hurry("launch", attempts=5)
    until(lambda: stage.runs()[-1].state == "failed", "the run to fail")
    assert "there is no room" in str(stage.runs()[-1].error)
    del stage.launcher.refuse["ensure"]
    (seen,) = stage.launcher.observe({run: 0}, 0)
    assert seen.ended is EndReason.CANCELLED


def test_a_run_waits_for_a_cluster_that_is_away_however_long_and_says_so(stage: Stage) -> None:
    def again() -> None:
        stage.store.write(lambda conn: work.want(conn, "launch", run, now=stage.store.now()))

    stage.push({"project.yaml": project_yaml()})
    stage.settle(but=())
    stage.launcher.refuse["ensure"] = ClusterAway("nobody is there")
    run = stage.ask("/projects/fraud/runs", {"workflow": "main"})["run"]
    for times in range(2 * LAUNCH_ATTEMPTS):
        until(lambda: stage.launcher.refused["ensure"] > times, "it to be tried")  # noqa: B023
        again()
    until(lambda: stage.runs()[-1].reason == "nobody is there", "the reason")
    assert stage.runs()[-1].state == "starting"
    del stage.launcher.refuse["ensure"]
    again()
    assert ended(stage) == ["succeeded", "succeeded"]


def test_one_end_before_the_beginning_takes_one_start_however_long_the_next_one_is_prepared(stage: Stage) -> None:
    stage.launcher.runs_begin = False
    stage.push({"project.yaml": project_yaml()})
    run = until(lambda: [r.id for r in stage.runs() if stage.launcher.starts[r.id]], "the launcher to be told")[0]
    stage.settle(but=("watch",))
    stage.launcher.refuse["ensure"] = ClusterAway("nobody is there")
    stage.launcher.kill(run)
    until(lambda: stage.launcher.refused["ensure"], "it to be told again")
    looks = stage.launcher.looks
    until(lambda: stage.launcher.looks > looks + 10, "the end to be seen again and again")
    assert stage.run(run).starts == 2
    del stage.launcher.refuse["ensure"]
    stage.launcher.runs_begin = True
    stage.store.write(lambda conn: work.want(conn, "launch", run, now=stage.store.now()))
    assert ended(stage) == ["succeeded"]
    assert stage.launcher.starts[run] == 2


def test_what_a_run_says_that_is_no_text_stops_neither_it_nor_others(stage: Stage) -> None:
    stage.launcher.runs_end = False
    workflows = {"a": None, "b": None}
    rules = [{"workflow": name, "on": "push"} for name in workflows]
    stage.push({".gitops.yaml": gitops_yaml({"run": rules}), "project.yaml": project_yaml(workflows=workflows)})
    one, other = running(stage, 2)
    half = "half a character: \ud83d"
    stage.launcher.say(one, "artifact", key=half, **{half: [half, {half: 1e999}]})
    stage.launcher.finish(one, results={"text": half, "big": 2**80})
    stage.launcher.finish(other, "failed", error={"type": "E", "message": half, "traceback": half})
    assert sorted(ended(stage)) == ["failed", "succeeded"]
    results = next(run.results for run in stage.runs() if run.id == one)
    assert results is not None
    assert results["text"].startswith("half a character: ")


def test_a_job_that_cannot_be_cancelled_keeps_no_other_from_being_watched(stage: Stage) -> None:
    stage.launcher.runs_end = False
    workflows = {"a": None, "b": None}
    rules = [{"workflow": name, "on": "push"} for name in workflows]
    stage.push({".gitops.yaml": gitops_yaml({"run": rules}), "project.yaml": project_yaml(workflows=workflows)})
    one, other = running(stage, 2)
    stage.launcher.refuse["cancel"] = refused("the disk is full")
    stage.ask(f"/runs/{one}/cancel")
    until(lambda: stage.launcher.refused["cancel"] > 1, "the cancellation to be tried")
    stage.launcher.finish(other)
    until(lambda: {str(r.state) for r in stage.runs()} == {"running", "succeeded"}, "the other to end")
    with stage.store.read() as conn:
        watch = work.get(conn, "watch", "process")
    assert watch is not None
    assert watch.attempts == 0
    del stage.launcher.refuse["cancel"]
    assert sorted(ended(stage)) == ["cancelled", "succeeded"]


def test_a_run_has_its_own_declaration_however_late_it_starts(stage: Stage) -> None:
    stage.restart(launcher={"concurrency": 1})
    stage.launcher.runs_end = False
    declared = gitops_yaml({"path": "a", "name": "fraud"})
    workflows = {"main": None, "other": None}
    stage.push({".gitops.yaml": declared, "a/project.yaml": project_yaml(workflows=workflows)})
    (first,) = running(stage)
    waiting = stage.ask("/projects/fraud/runs", {"workflow": "other"})["run"]
    stage.push(
        {
            ".gitops.yaml": gitops_yaml({"path": "b", "name": "fraud", "run": []}),
            "a/project.yaml": None,
            "b/project.yaml": project_yaml(workflows=workflows),
        }
    )
    stage.settle()
    assert stage.owned().path == "b"
    stage.launcher.runs_end = True
    stage.launcher.finish(first)
    assert ended(stage) == ["succeeded"] * 2
    (job,) = [job for job in stage.launcher.told if job.id == waiting]
    assert job.payload["project"]["path"] == "a"
    assert "a/project.yaml" in stage.launcher.files(waiting)


def test_a_run_that_waits_while_its_project_goes_is_still_run(stage: Stage) -> None:
    stage.restart(launcher={"concurrency": 1})
    stage.launcher.runs_end = False
    stage.push({"project.yaml": project_yaml("old", {"main": None, "other": None})})
    (first,) = running(stage, project="old")
    stage.ask("/projects/old/runs", {"workflow": "other"})
    stage.push({".gitops.yaml": gitops_yaml({"run": []}), "project.yaml": project_yaml("new")})
    stage.settle()
    assert stage.project("old") is None
    stage.launcher.runs_end = True
    stage.launcher.finish(first)
    assert ended(stage, "old") == ["succeeded"] * 2
