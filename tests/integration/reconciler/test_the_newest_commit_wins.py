"""Pushes in every order: the tip is synced once, what was passed over is told, nothing runs twice."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Connection, text

from service import limits
from service.store import work
from tests.integration.reconciler.stage import PATIENCE_S, Stage, gitops_yaml, project_yaml
from tests.peers.forge import push_payload, signed
from tests.peers.git_http import Mode, Request
from tests.peers.postgres import Postgres
from tests.waiting import until


def test_a_push_is_saved_and_runs_once(stage: Stage) -> None:
    commit = stage.push({"project.yaml": project_yaml()})
    assert stage.ran() == [commit]
    assert stage.in_force() == commit
    assert stage.states() == ["succeeded"]


def test_a_delivery_that_comes_again_runs_nothing_again(stage: Stage) -> None:
    commit = stage.push({"project.yaml": project_yaml()})
    body, headers = signed(push_payload("ada/fraud", None, commit))
    stage.settle()
    outcomes = [stage.outcome(stage.send(body, headers))[0] for _ in range(3)]
    assert outcomes == ["unchanged"] * 3
    assert stage.ran() == [commit]


@pytest.mark.postgres
def test_a_push_and_the_end_of_a_sync_lock_in_the_same_order(stage: Stage) -> None:
    """Who ends a sync has its work's row, and then wants the project's."""
    with Postgres() as server, server.database() as url:
        stage.restart(store={"url": url})
        stage.push({"project.yaml": project_yaml()})
        stage.settle()
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")

        def end(conn: Connection) -> None:
            work.lock(conn, "sync", "fraud")
            stage.push({"a.py": "2"})
            until(lambda: conn.execute(waiting).scalar_one(), "the push to wait for the work's row")
            conn.execute(text("SELECT name FROM projects WHERE name = 'fraud' FOR UPDATE NOWAIT"))

        stage.store.write(end)
        stage.settle()
        assert stage.states() == ["succeeded", "succeeded"]
        stage.stop()


def test_a_lost_webhook_is_made_good_by_the_poll(stage: Stage) -> None:
    first = stage.push({"project.yaml": project_yaml()})
    stage.settle()
    second = stage.push({"a.py": "2"}, hook=False)
    stage.poll()
    assert stage.ran() == [first, second]


def test_the_first_sync_of_a_ref_found_without_a_push_runs_nothing(stage: Stage) -> None:
    commit = stage.push({"project.yaml": project_yaml(workflows={"main": None, "night": "0 2 * * *"})}, hook=False)
    stage.poll()
    assert stage.ran() == []
    assert stage.in_force() == commit
    assert stage.crons() == {"night": "0 2 * * *"}


def test_a_push_during_a_sync_is_synced_after_it(stage: Stage) -> None:
    with stage.launcher.loads_wait():
        first = stage.push({"project.yaml": project_yaml()})
        until(lambda: stage.states() == ["syncing"], "the first sync to begin")
        second = stage.push({"a.py": "2"})
        until(lambda: stage.states() == ["syncing", "queued"], "the second sync to wait")
    assert stage.ran() == [first, second]
    assert stage.in_force() == second


def test_commits_passed_over_are_recorded_as_superseded_by_the_newer_one(stage: Stage) -> None:
    with stage.launcher.loads_wait():
        stage.push({"project.yaml": project_yaml()})
        until(lambda: stage.states() == ["syncing"], "the first sync to begin")
        for number in range(3):
            stage.push({"a.py": str(number)})
            stage.settle(but=("sync", "watch", "launch"))
    stage.settle(but=())
    made = stage.syncs()
    assert [sync.state for sync in made] == ["succeeded", "superseded", "superseded", "succeeded"]
    assert made[1].superseded_by in (made[2].id, made[3].id)
    assert made[2].superseded_by == made[3].id


def test_a_commit_passed_over_is_recorded_though_its_webhook_came_while_the_fetch_was_under_way(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.push({"project.yaml": project_yaml()})
    stage.settle(but=())
    begun, go_on = threading.Event(), threading.Event()

    def hold(request: Request) -> None:
        if request.service == "git-upload-pack":
            begun.set()
            go_on.wait(PATIENCE_S)

    monkeypatch.setattr(stage.forge, "before", hold)
    stage.store.write(lambda conn: work.want(conn, "fetch", "fraud", now=stage.store.now()))
    assert begun.wait(PATIENCE_S)
    first = stage.push({"a.py": "1"}, hook=False)
    told = stage.hook(first)
    second = stage.push({"a.py": "2"})
    go_on.set()
    assert stage.outcome(told)[0] == "superseded"
    stage.settle(but=())
    made = {sync.commit: sync for sync in stage.syncs()}
    assert made[first].superseded_by == made[second].id
    assert stage.in_force() == second


def test_deliveries_out_of_order_converge_to_the_tip(stage: Stage) -> None:
    first = stage.push({"project.yaml": project_yaml()}, hook=False)
    second = stage.push({"a.py": "2"}, hook=False)
    late = [stage.hook(second), stage.hook(first)]
    assert [stage.outcome(one)[0] for one in late] == ["synced", "superseded"]
    assert stage.ran() == [second]


def test_a_forced_push_back_to_an_older_commit_puts_that_in_force_and_runs_it(stage: Stage) -> None:
    first = stage.push({"project.yaml": project_yaml(), "a.py": "1"})
    stage.settle()
    second = stage.push({"a.py": "2"})
    stage.settle()
    stage.put(f"{first}:refs/heads/main")
    stage.hook(first)
    assert stage.ran() == [first, second, first]
    assert stage.in_force() == first


def test_a_push_taken_back_before_it_was_fetched_leaves_the_tip(stage: Stage) -> None:
    first = stage.push({"project.yaml": project_yaml()})
    stage.settle()
    second = stage.push({"a.py": "2"}, hook=False)
    stage.put(f"{first}:refs/heads/main")
    assert stage.outcome(stage.hook(second))[0] == "superseded"
    assert stage.ran() == [first]


def test_a_revert_to_what_is_in_force_ends_the_error_and_runs_nothing(stage: Stage) -> None:
    first = stage.push({"project.yaml": project_yaml()})
    stage.settle()
    stage.push({"project.yaml": project_yaml(raises="a mistake")})
    until(lambda: stage.states() == ["succeeded", "failed"], "the failure")
    assert stage.owned().error
    stage.put(f"{first}:refs/heads/main")
    stage.hook(first)
    assert stage.ran() == [first]
    assert stage.owned().error is None
    assert stage.in_force() == first


def test_a_failed_push_is_repeated_by_a_redelivery_and_only_then(stage: Stage) -> None:
    commit = stage.push({"project.yaml": project_yaml(raises="a mistake")})
    until(lambda: stage.states() == ["failed"], "the failure")
    stage.poll()
    assert stage.states() == ["failed"]
    assert stage.outcome(stage.hook(commit))[0] == "synced"
    stage.settle()
    assert stage.states() == ["failed", "failed"]


def test_what_failed_runs_with_the_commit_that_mends_it(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml(raises="a mistake"), "a.py": "1"})
    until(lambda: stage.states() == ["failed"], "the failure")
    second = stage.push({"project.yaml": project_yaml()})
    assert stage.ran() == [second]


def test_one_commit_on_two_branches_is_two_projects_and_two_runs(stage: Stage) -> None:
    declared = gitops_yaml({"name": "fraud-{ref}", "refs": ["main", "dev"]})
    commit = stage.push({".gitops.yaml": declared, "project.yaml": project_yaml()})
    stage.put(f"{commit}:refs/heads/dev")
    stage.hook(commit, ref="refs/heads/dev")
    assert stage.ran("fraud-main") == [commit]
    assert stage.ran("fraud-dev") == [commit]


def test_a_file_outside_paths_runs_nothing(stage: Stage) -> None:
    declared = gitops_yaml({"paths": ["**", "!docs/**"]})
    first = stage.push({".gitops.yaml": declared, "project.yaml": project_yaml()})
    stage.settle()
    second = stage.push({"docs/a.md": "text"})
    assert stage.ran() == [first]
    assert stage.in_force() == second


def test_a_sync_asked_for_by_a_person_runs_though_nothing_moved(stage: Stage) -> None:
    commit = stage.push({"project.yaml": project_yaml()})
    stage.settle(but=())
    asked = stage.ask("/projects/fraud/sync")["delivery"]
    assert stage.outcome(asked)[0] == "synced"
    assert stage.ran() == [commit, commit]


def test_a_repository_asked_for_before_it_was_ever_fetched_runs(stage: Stage) -> None:
    commit = stage.push({"project.yaml": project_yaml()}, hook=False)
    asked = stage.ask("/repositories/fraud/sync")["delivery"]
    assert stage.outcome(asked) == ("synced", "asked for")
    assert stage.ran() == [commit]


def test_two_syncs_asked_for_at_once_are_one(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml()})
    stage.settle(but=())
    with stage.launcher.loads_wait():
        for _ in range(3):
            stage.ask("/projects/fraud/sync")
    stage.settle(but=())
    assert len(stage.runs()) <= 4
    assert all(run.state == "succeeded" for run in stage.runs())


def test_a_first_push_during_an_outage_runs_when_that_is_over(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FETCH_PATIENCE_S", 0.0)
    stage.forge.repositories["fraud"].behave(Mode.BROKEN)
    commit = stage.push({"project.yaml": project_yaml()}, hook=False)
    delivery = stage.hook(commit)
    stage.hurry("fetch", attempts=9)
    assert stage.outcome(delivery)[0] == "failed"
    stage.forge.repositories["fraud"].behave(Mode.WELL)
    stage.hurry("fetch", attempts=1)
    until(lambda: stage.in_force() == commit, "the fetch that succeeds")
    assert stage.ran() == [commit]
    stage.poll()
    assert stage.ran() == [commit]


def test_two_repositories_that_hang_keep_no_third_waiting(stage: Stage) -> None:
    for name in ("churn", "spare"):
        stage.forge.repositories[name].behave(Mode.HANG)
        stage.hook(None, name)
    until(lambda: len({r.repository for r in stage.forge.requests}) == 2, "both to be asked")
    commit = stage.push({"project.yaml": project_yaml()})
    until(lambda: stage.in_force() == commit, "the third to be in force")
    for name in ("churn", "spare"):
        stage.forge.repositories[name].behave(Mode.WELL)


def test_a_branch_with_an_odd_name_is_served_like_any_other(stage: Stage) -> None:
    ref = "für/Käufer-✓#1%+'\"$(id)&;"
    declared = gitops_yaml({"name": "f-{ref}", "refs": ["für/*"]})
    commit = stage.push({".gitops.yaml": declared, "project.yaml": project_yaml()}, to=ref)
    stage.settle(but=())
    (project,) = [p for p in stage.get("/projects")["items"] if p["repository"] == "fraud"]
    assert project["ref"] == f"refs/heads/{ref}"
    assert stage.ran(project["name"]) == [commit]
    asked = stage.ask("/repositories/fraud/sync", {"ref": ref})["delivery"]
    assert stage.outcome(asked)[0] == "synced"
    assert stage.get("/deliveries", ref=f"refs/heads/{ref}")["items"]


def test_a_push_that_was_found_before_its_webhook_came_runs_all_the_same_and_once(stage: Stage) -> None:
    commit = stage.push({"project.yaml": project_yaml()}, hook=False)
    stage.poll()
    assert stage.ran() == []
    stage.hook(commit)
    stage.settle()
    assert stage.ran() == [commit]
    stage.hook(commit)
    stage.settle()
    assert stage.ran() == [commit]


def test_a_tag_that_was_found_before_its_webhook_came_runs_all_the_same_and_once(stage: Stage) -> None:
    declared = gitops_yaml({"run": [{"workflow": "main", "on": "tag"}]})
    commit = stage.push({".gitops.yaml": declared, "project.yaml": project_yaml()})
    stage.settle()
    stage.put(f"{commit}:refs/tags/v1")
    stage.poll()
    assert stage.ran() == []
    for _ in range(2):
        stage.hook(commit, ref="refs/tags/v1")
        stage.settle()
        assert stage.ran() == [commit]


def test_a_push_that_was_found_first_still_heeds_its_skip_token(stage: Stage) -> None:
    commit = stage.push({"project.yaml": project_yaml()}, hook=False, message="Words only [skip ci]")
    stage.poll()
    stage.hook(commit)
    stage.settle()
    assert stage.ran() == []
    assert stage.in_force() == commit


def test_who_heard_that_a_sync_began_hears_how_it_ended_also_when_nothing_was_to_be_done(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml()})
    stage.settle(but=())
    stage.git("commit", "--allow-empty", "--message", "Nothing")
    stage.put("HEAD:refs/heads/main")
    stage.hook(stage.git("rev-parse", "HEAD").strip())
    stage.settle(but=())
    (newest,) = stage.syncs()[-1:]
    assert newest.state == "skipped"
    told = [one["event"] for one in stage.get("/notifications", sync=newest.id)["items"]]
    assert sorted(told) == ["sync.started", "sync.succeeded"]
