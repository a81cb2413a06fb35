"""`POST /projects/{name}/plan`: what it says is what the sync then does, and nothing is done until then."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import select

from service import limits
from service.launchers import JobKind
from service.store.models import metadata
from tests.integration.reconciler.stage import Files, Stage, gitops_yaml, project_yaml
from tests.waiting import until

# What a preview is made of; everything else stays as it was.
ITS_OWN = {"previews", "work", "audit"}


def ask(stage: Stage, ref: str | None = None, project: str = "fraud") -> str:
    return str(stage.ask(f"/projects/{project}/plan", {"ref": ref} if ref else {})["plan"])


def preview(stage: Stage, ref: str | None = None, project: str = "fraud") -> dict[str, Any]:
    """Asked for and waited for."""
    id_ = ask(stage, ref, project)
    return ended(stage, id_, project)


def ended(stage: Stage, id_: str, project: str = "fraud") -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        row: dict[str, Any] = stage.get(f"/projects/{project}/plans/{id_}")
        return row if row["ended_at"] else None

    found: dict[str, Any] = until(look, f"plan {id_}")
    return found


def planned_by_sync(stage: Stage, commit: str, ref: str = "refs/heads/main") -> Any:
    [sync] = stage.get("/syncs", commit=commit, ref=ref)["items"]
    return stage.get(f"/syncs/{sync['id']}")["plan"]


def everything_else(stage: Stage) -> dict[str, list[Any]]:
    with stage.store.read() as conn:
        return {
            name: [tuple(row) for row in conn.execute(select(table).order_by(*table.primary_key))]
            for name, table in metadata.tables.items()
            if name not in ITS_OWN
        }


def first(stage: Stage, **spec: Any) -> str:
    commit = stage.push({"project.yaml": project_yaml("fraud", **spec), "w.py": "pass"})
    stage.settle(but=())
    assert stage.states() == ["succeeded"]
    return commit


def test_the_plan_that_is_shown_is_the_plan_of_the_push(stage: Stage) -> None:
    first(stage, workflows={"main": None, "nightly": "0 2 * * *"}, params={"rows": 1})
    changed = project_yaml("fraud", {"main": None, "nightly": "0 3 * * *", "weekly": "0 4 * * 1"}, params={"rows": 2})
    commit = stage.push({"project.yaml": changed}, hook=False)
    shown = preview(stage)
    assert (shown["state"], shown["commit"], shown["ref"]) == ("succeeded", commit, "refs/heads/main")
    assert [run["workflow"] for run in shown["plan"]["runs"]] == ["main"]
    stage.hook(commit)
    stage.settle(but=())
    assert shown["plan"] == planned_by_sync(stage, commit)
    loads = [job.id for job in stage.launcher.told if job.kind is JobKind.LOAD]
    assert len(loads) == 2, "the sync takes what the preview loaded"


def test_nothing_is_changed_by_it_and_the_push_is_found_after_it(stage: Stage) -> None:
    first(stage, workflows={"main": None, "nightly": "0 2 * * *"})
    before = everything_else(stage)
    commit = stage.push({"project.yaml": project_yaml("fraud", params={"rows": 2})}, hook=False)
    stage.work["fraud"].push("HEAD:refs/heads/another")
    assert preview(stage)["state"] == "succeeded"
    assert preview(stage, "another")["state"] == "succeeded"
    stage.settle(but=())
    assert everything_else(stage) == before
    assert stage.launcher.left() == []
    stage.poll()
    assert stage.in_force() == commit


def test_what_a_push_would_not_be_synced_for_says_why(stage: Stage) -> None:
    first(stage)
    again = preview(stage)
    assert (again["state"], again["plan"]) == ("skipped", None)
    assert again["reason"] == "this commit was synced already"
    files: Files = {
        ".gitops.yaml": gitops_yaml({"path": "ml"}),
        "ml/project.yaml": project_yaml("churn"),
        "ml/w.py": "",
    }
    stage.push(files, "churn")
    stage.settle(but=())
    commit = stage.push({"README.md": "words"}, "churn", hook=False)
    shown = preview(stage, project="churn")
    stage.hook(commit, "churn")
    stage.settle(but=())
    [sync] = [one for one in stage.syncs("churn") if one.commit == commit]
    assert (shown["state"], shown["reason"]) == (sync.state, sync.reason)


def test_a_commit_that_the_push_would_retry_is_planned_as_that_retry(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml("fraud", raises="a mistake")})
    until(lambda: stage.states() == ["failed"], "the failure")
    shown = preview(stage)
    assert shown["state"] == "failed"
    assert (shown["error"]["what"], shown["error"]["detail"]) == ("ValueError: a mistake", "Traceback of the user")
    assert stage.launcher.left() == []
    commit = stage.push({"project.yaml": project_yaml("fraud")}, hook=False)
    assert preview(stage)["plan"]["cause"] == "push"
    stage.hook(commit)
    stage.settle(but=())
    assert stage.in_force() == commit


def test_a_branch_that_no_project_follows_is_planned_as_if_it_came_to_the_projects(stage: Stage) -> None:
    first(stage)
    stage.git("checkout", "--quiet", "-b", "better")
    commit = stage.push({"project.yaml": project_yaml("fraud", params={"rows": 2})}, to="better", hook=False)
    named = [preview(stage, ref) for ref in ("better", "refs/heads/better", "heads/better")]
    assert {one["commit"] for one in named} == {commit}
    assert {one["reason"] for one in named} == {"planned as if better came to main"}
    by_id = preview(stage, commit)
    assert by_id["plan"] == named[0]["plan"]
    stage.put("HEAD:refs/heads/main")
    stage.hook(commit)
    stage.settle(but=())
    assert planned_by_sync(stage, commit) == by_id["plan"]


def test_a_tag_that_the_project_follows_is_planned_as_its_push(stage: Stage) -> None:
    declared = gitops_yaml({"refs": ["main", "refs/tags/v*"], "run": [{"workflow": "main", "on": "tag"}]})
    commit = stage.push({".gitops.yaml": declared, "project.yaml": project_yaml("fraud"), "w.py": ""})
    stage.settle(but=())
    stage.put("HEAD:refs/tags/v1")
    shown = preview(stage, "v1")
    assert (shown["ref"], shown["commit"]) == ("refs/tags/v1", commit)
    assert [run["reason"] for run in shown["plan"]["runs"]] == [
        "tag v1: what changed is not known, so everything counts as changed"
    ]
    stage.hook(commit, ref="refs/tags/v1")
    stage.settle(but=())
    assert planned_by_sync(stage, commit, "refs/tags/v1") == shown["plan"]


def test_what_is_not_there_fails_with_the_mend(stage: Stage) -> None:
    first(stage)
    for ref in ("nowhere", "refs/heads/nowhere", "a" * 40, "abc1234", "--upload-pack=x", "a\x00b", "HEAD"):
        shown = preview(stage, ref)
        assert (shown["state"], shown["error"]["code"]) == ("failed", "ref-missing"), ref
        assert shown["error"]["mend"]


def test_a_push_that_would_give_the_project_up_or_be_refused_fails_with_that(stage: Stage) -> None:
    first(stage)
    stage.push({"project.yaml": project_yaml("other")}, hook=False)
    assert "declares no project fraud for main" in preview(stage)["error"]["what"]
    stage.push({".gitops.yaml": "version: 7"}, hook=False)
    assert preview(stage)["error"]["code"] == "gitops-file-error"
    stage.forge.stop()
    assert preview(stage)["error"]["code"] == "repository-unreachable"
    stage.ask("/projects/nobody/plan", status=404)


def test_one_that_hangs_keeps_no_sync_waiting_and_is_not_begun_twice(stage: Stage) -> None:
    first(stage)
    stage.push({"project.yaml": project_yaml("fraud", params={"rows": 2})}, hook=False)
    with stage.launcher.loads_wait():
        hanging = ask(stage)
        until(lambda: stage.launcher.alive(JobKind.LOAD), "the load")
        commit = stage.push({"w.py": "print()", "project.yaml": project_yaml("fraud", params={"rows": 3})})
        until(lambda: len(stage.launcher.alive(JobKind.LOAD)) == 2, "the sync's load beside it")
        [_, of_sync] = stage.launcher.alive(JobKind.LOAD)
        project = {"metadata": {"name": "fraud"}, "spec": {"params": {"rows": 3}}}
        result = {"name": "fraud", "project": project, "functions": {}, "workflows": []}
        stage.launcher.loaded(of_sync, result)
        until(lambda: stage.in_force() == commit, "the sync to succeed")
        assert stage.get(f"/projects/fraud/plans/{hanging}")["state"] == "planning"
    against = ended(stage, hanging)
    assert [
        change["before"] for change in against["plan"]["changes"] if change["path"] == "project.spec.params.rows"
    ] == [3]


def test_a_service_that_is_stopped_meanwhile_goes_on_with_it(stage: Stage) -> None:
    first(stage)
    commit = stage.push({"project.yaml": project_yaml("fraud", params={"rows": 2})}, hook=False)
    with stage.launcher.loads_wait():
        id_ = ask(stage)
        [job] = until(lambda: stage.launcher.alive(JobKind.LOAD), "the load")
        stage.restart()
    assert ended(stage, id_)["plan"]["commit"] == commit
    assert stage.launcher.starts[job] == 1


def test_many_who_ask_share_what_waits_and_are_refused_beyond_a_limit(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first(stage)
    stage.push({"project.yaml": project_yaml("fraud", params={"rows": 2})}, hook=False)
    with stage.launcher.loads_wait():
        begun = [ask(stage), ask(stage, "main")]
        until(lambda: len(stage.launcher.alive(JobKind.LOAD)) == 2, "both to be begun")
        found: list[str] = []
        people = [threading.Thread(target=lambda: found.append(ask(stage))) for _ in range(8)]
        for one in people:
            one.start()
        for one in people:
            one.join()
        assert len(set(found)) == 1
        assert found[0] not in begun
        monkeypatch.setattr(limits, "PREVIEWS_OPEN", 3)
        assert "3 plans of fraud" in stage.ask("/projects/fraud/plan", {"ref": "x"}, status=409)["detail"]
    assert {ended(stage, id_)["state"] for id_ in (*begun, found[0])} == {"succeeded"}
