"""From a push to MLRun's DB: the service with its real source and store, jobs from memory, and an MLRun API that keeps what it is sent."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.cli import lists
from service.store import saved
from tests.integration.mlrun_target.recorder import Recorder
from tests.integration.mlrun_target.scene import PUSHED, beside, function
from tests.integration.reconciler.stage import Stage, gitops_yaml, project_yaml
from tests.waiting import until

Json = dict[str, Any]


@pytest.fixture
def stage(tmp_path: Path, mlrun: Recorder) -> Iterator[Stage]:
    with beside(mlrun, tmp_path, function("one"), function("two")) as made:
        yield made


def change(stage: Stage, files: dict[str, Any], **functions: Json) -> str:
    """Push, with these functions beside what was there, and wait."""
    there = stage.launcher.resolved["functions"]
    stage.launcher.resolved = {"functions": {**there, **functions}}
    commit = stage.push(files)
    stage.settle()
    return commit


def plan_of(stage: Stage) -> Json:
    plan: Json = stage.get(f"/syncs/{stage.syncs()[-1].id}")["plan"]
    return plan


def writes(stage: Stage) -> list[tuple[str, str, str]]:
    return [(one["kind"], one["name"], one["action"]) for one in plan_of(stage)["writes"]]


def test_a_first_push_saves_the_project_and_its_functions(stage: Stage, mlrun: Recorder) -> None:
    commit = change(stage, PUSHED)
    assert stage.states() == ["succeeded"]
    assert mlrun.forget_writes() == [
        "PUT projects/fraud",
        "POST projects/fraud/functions/one",
        "POST projects/fraud/functions/two",
    ]
    spec = mlrun.projects["fraud"]["spec"]
    assert spec["params"] == {"rows": 1}
    assert spec["source"].startswith("http://gitops.example.com/archives/fraud.")
    assert spec["source"].endswith(f"/{commit}.tar.gz")
    assert mlrun.functions["fraud", "one", "latest"]["spec"]["image"] == "docker.io/mlrun/mlrun:1.9.2"
    assert stage.http.get(spec["source"].removeprefix("http://gitops.example.com")).status_code == 200
    with stage.store.read() as conn:
        last = saved.find(conn, "fraud")
    assert last is not None
    assert (last.commit, sorted(last.saved.functions)) == (commit, ["one", "two"])


def test_a_push_that_changes_nothing_writes_nothing(stage: Stage, mlrun: Recorder) -> None:
    change(stage, PUSHED)
    mlrun.forget_writes()
    stage.git("commit", "-q", "--allow-empty", "-m", "Nothing")
    stage.put("HEAD:refs/heads/main")
    stage.hook(stage.git("rev-parse", "HEAD").strip())
    stage.settle()
    assert stage.states() == ["succeeded", "skipped"]
    assert mlrun.forget_writes() == []


def test_a_push_of_files_alone_tells_mlrun_where_they_are_now(stage: Stage, mlrun: Recorder) -> None:
    change(stage, PUSHED)
    mlrun.forget_writes()
    commit = change(stage, {"w.py": "new"})
    last = plan_of(stage)
    assert (last["save"], last["changes"]) == (False, [])
    assert [one["reason"] for one in last["writes"]] == ["its files are those of this commit"]
    assert mlrun.forget_writes() == ["PUT projects/fraud"]
    assert mlrun.projects["fraud"]["spec"]["source"].endswith(f"/{commit}.tar.gz")


def test_the_same_commit_again_writes_nothing(stage: Stage, mlrun: Recorder) -> None:
    change(stage, PUSHED)
    mlrun.forget_writes()
    stage.ask("/projects/fraud/sync")
    stage.settle()
    assert stage.states() == ["succeeded", "succeeded"]
    assert writes(stage) == []
    assert mlrun.forget_writes() == []


def test_of_many_functions_the_one_that_changed_is_written_in_few_requests(stage: Stage, mlrun: Recorder) -> None:
    change(stage, PUSHED, **{f"f{number}": function(f"f{number}") for number in range(500)})
    assert len(mlrun.forget_writes()) == 503
    mlrun.reads = 0
    change(stage, {"f7.py": "new"}, f7=function("f7", "bmV3"))
    assert mlrun.forget_writes() == ["POST projects/fraud/functions/f7", "PUT projects/fraud"]
    assert mlrun.reads <= 8


def test_drift_is_shown_and_the_next_sync_mends_it(
    stage: Stage, mlrun: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    change(stage, PUSHED)
    assert stage.get("/projects/fraud/drift")["differences"] == []
    lists.drift(stage.get("/projects/fraud/drift"))
    assert capsys.readouterr().out.rstrip().endswith(": nothing differs")
    mlrun.projects["fraud"]["spec"]["params"]["rows"] = 99
    mlrun.functions["fraud", "two", "latest"]["spec"]["image"] = "somebody/else"
    mlrun.functions["fraud", "one", "latest"]["status"] = {"state": "ready"}
    found = [
        (one["what"], one["path"], one["git"], one["there"])
        for one in stage.get("/projects/fraud/drift")["differences"]
    ]
    assert found == [
        ("project", "spec.params.rows", 1, 99),
        ("function two", "spec.image", "docker.io/mlrun/mlrun:1.9.2", "somebody/else"),
    ]
    lists.drift(stage.get("/projects/fraud/drift"))
    assert [line.strip() for line in capsys.readouterr().out.splitlines()[1:5]] == [
        "project spec.params.rows",
        "Git   1",
        "saved 1",
        "now   99",
    ]
    mlrun.forget_writes()
    stage.ask("/projects/fraud/sync")
    stage.settle()
    assert mlrun.forget_writes() == ["POST projects/fraud/functions/two", "PUT projects/fraud"]
    assert stage.get("/projects/fraud/drift")["differences"] == []


def test_what_somebody_changes_during_a_save_of_other_things_is_drift_and_the_next_sync_mends_it(
    stage: Stage, mlrun: Recorder
) -> None:
    change(stage, PUSHED)
    arrives = mlrun.hold["POST projects/fraud/functions/one"] = threading.Event()
    stage.launcher.resolved = {"functions": {"one": function("one", "bmV3"), "two": function("two")}}
    stage.push({"one.py": "new"})
    until(lambda: mlrun.held, "the save to write")
    mlrun.functions["fraud", "two", "latest"]["spec"]["image"] = "somebody/else"
    arrives.set()
    stage.settle()
    found = [(one["what"], one["path"]) for one in stage.get("/projects/fraud/drift")["differences"]]
    assert found == [("function two", "spec.image")]
    stage.ask("/projects/fraud/sync")
    stage.settle()
    assert mlrun.functions["fraud", "two", "latest"]["spec"]["image"] == "docker.io/mlrun/mlrun:1.9.2"
    assert stage.get("/projects/fraud/drift")["differences"] == []


def test_the_owner_that_mlrun_knows_stays(stage: Stage, mlrun: Recorder) -> None:
    mlrun.projects["fraud"] = {"kind": "project", "metadata": {"name": "fraud"}, "spec": {"owner": "ada"}}
    change(stage, PUSHED)
    assert mlrun.projects["fraud"]["spec"]["owner"] == "ada"
    assert mlrun.projects["fraud"]["spec"]["params"] == {"rows": 1}


def test_only_what_git_had_is_removed_and_only_where_it_is_asked_for(stage: Stage, mlrun: Recorder) -> None:
    mlrun.functions["fraud", "theirs", "latest"] = function("theirs")
    change(stage, PUSHED)
    stage.launcher.resolved = {"functions": {"one": function("one")}}
    change(stage, {"two.py": "gone"})
    assert sorted(name for _, name, _ in mlrun.functions) == ["one", "theirs", "two"]
    assert {"what": "function two", "reason": "Git has it no more; it stays in MLRun, since prune is false"} in plan_of(
        stage
    )["skipped"]
    change(stage, {".gitops.yaml": gitops_yaml({"path": ".", "prune": True})}, three=function("three"))
    stage.launcher.resolved = {"functions": {"one": function("one")}}
    change(stage, {"three.py": "gone"})
    assert ("function", "three", "remove") in writes(stage)
    assert sorted(name for _, name, _ in mlrun.functions) == ["one", "theirs", "two"]


def test_mlruns_own_schedules_of_our_workflows_give_way(stage: Stage, mlrun: Recorder) -> None:
    mlrun.projects["fraud"] = {"kind": "project", "metadata": {"name": "fraud"}, "spec": {}}
    for name in ("main", "theirs"):
        labels = {"job-type": "workflow-runner"}
        mlrun.schedules["fraud", name] = {"name": name, "cron_trigger": {"minute": "0"}, "labels": labels}
    change(stage, PUSHED)
    assert [name for _, name in mlrun.schedules] == ["theirs"]
    told = [one for one in stage.get("/notifications")["items"] if one["event"] == "schedule.removed"]
    assert len(told) == 1


def runner_of(workflow: str, job_type: str = "workflow-runner") -> Json:
    """A schedule as MLRun has it."""
    task = {"metadata": {"labels": {"job-type": job_type, "workflow": workflow}}}
    return {"name": workflow, "cron_trigger": {"minute": "0"}, "scheduled_object": {"task": task}}


def scheduled(stage: Stage, mlrun: Recorder) -> None:
    """`fraud` is saved, and MLRun has a schedule of its workflow and two of somebody else."""
    change(stage, {"project.yaml": project_yaml("fraud", {"main": None, "jobs": None}), "w.py": "pass"})
    mlrun.schedules["fraud", "main"] = runner_of("main")
    mlrun.schedules["fraud", "jobs"] = runner_of("jobs", "")
    mlrun.schedules["fraud", "theirs"] = runner_of("theirs")


def remembered(stage: Stage) -> saved.Save | None:
    with stage.store.read() as conn:
        return saved.find(conn, "fraud")


@pytest.mark.parametrize("how", ["renamed", "taken out of the settings"])
def test_mlrun_fires_nothing_of_a_project_whose_name_was_given_up(stage: Stage, mlrun: Recorder, how: str) -> None:
    scheduled(stage, mlrun)
    if how == "renamed":
        change(stage, {"project.yaml": project_yaml("other")})
    else:
        stage.restart(repositories=[stage.repository("churn"), stage.repository("spare")])
        stage.settle()
    until(lambda: remembered(stage) is None, "it to be forgotten")
    assert sorted(name for of, name in mlrun.schedules if of == "fraud") == ["jobs", "theirs"]


def test_an_mlrun_that_is_away_when_a_name_is_given_up_is_tried_again(stage: Stage, mlrun: Recorder) -> None:
    scheduled(stage, mlrun)
    mlrun.fail["DELETE projects/fraud/schedules"] = (503, 1000)
    stage.push({"project.yaml": project_yaml("other")})
    until(lambda: stage.failing("sync", "fraud") != "", "MLRun to be asked")
    assert remembered(stage) is not None
    mlrun.fail.clear()
    stage.hurry("sync", attempts=0)
    until(lambda: remembered(stage) is None, "it to be forgotten")
    assert ("fraud", "main") not in mlrun.schedules


def test_who_has_the_name_before_mlrun_is_back_keeps_its_own_and_removes_what_was_left(
    stage: Stage, mlrun: Recorder
) -> None:
    scheduled(stage, mlrun)
    mlrun.fail["DELETE projects/fraud/schedules"] = (503, 1000)
    stage.push({"project.yaml": project_yaml("other")})
    until(lambda: stage.failing("sync", "fraud") != "", "MLRun to be asked")
    stage.push({"project.yaml": project_yaml("fraud", {"new": None}), "w.py": "pass"}, "churn")
    until(lambda: (there := stage.project()) is not None and there.repository == "churn", "the name to be churn's")
    mlrun.forget_writes()
    mlrun.fail.clear()
    until(lambda: stage.in_force() is not None, "churn to be saved")
    assert sorted(name for _, name in mlrun.schedules) == ["jobs", "theirs"]
    last = remembered(stage)
    assert last is not None
    assert (last.saved.workflows, last.saved.left) == (("new",), False)
    assert [one for one in mlrun.writes if "functions" in one and one.startswith("DELETE")] == []


@pytest.mark.parametrize("where", ["PUT projects/fraud$", "POST .*/functions/two$", "GET projects/fraud/functions$"])
def test_an_mlrun_that_is_away_is_tried_again_and_nothing_is_in_force_before(
    stage: Stage, mlrun: Recorder, where: str
) -> None:
    mlrun.fail[where] = (503, 100)
    stage.push(PUSHED)
    stage.hurry("sync", attempts=0)
    assert stage.in_force() is None
    mlrun.fail.clear()
    stage.settle()
    assert stage.states() == ["succeeded"]
    assert stage.get("/projects/fraud/drift")["differences"] == []


def test_what_mlrun_refuses_fails_the_sync_and_the_last_revision_stays_in_force(stage: Stage, mlrun: Recorder) -> None:
    first = change(stage, PUSHED)
    mlrun.fail["PUT projects/fraud$"] = (422, 1)
    change(stage, {"project.yaml": project_yaml("fraud", params={"rows": 2})})
    assert stage.states() == ["succeeded", "failed"]
    assert stage.in_force() == first
    error = stage.get(f"/syncs/{stage.syncs()[-1].id}")["error"]
    assert error["code"] == "mlrun-refused"
    assert "told to answer 422" in error["what"]


def test_a_tag_writes_nothing(stage: Stage, mlrun: Recorder) -> None:
    tagged = {"path": ".", "run": [{"workflow": "main", "on": "tag"}]}
    commit = change(stage, {**PUSHED, ".gitops.yaml": gitops_yaml(tagged)})
    mlrun.forget_writes()
    stage.put("HEAD:refs/tags/v1")
    stage.hook(commit, ref="refs/tags/v1")
    stage.settle()
    assert stage.states() == ["succeeded", "succeeded"]
    assert mlrun.forget_writes() == []


def test_who_has_a_name_next_removes_nothing_of_what_was_there_before(stage: Stage, mlrun: Recorder) -> None:
    change(stage, {**PUSHED, ".gitops.yaml": gitops_yaml({"path": ".", "prune": True})})
    stage.push({"project.yaml": project_yaml("other")})
    stage.settle()
    with stage.store.read() as conn:
        assert saved.find(conn, "fraud") is None
        assert saved.find(conn, "other") is not None
    assert sorted(key for key in mlrun.functions if key[0] == "fraud") == [
        ("fraud", "one", "latest"),
        ("fraud", "two", "latest"),
    ]


def test_files_of_the_branch_are_what_mlrun_gets_where_the_operator_says_so(stage: Stage, mlrun: Recorder) -> None:
    stage.restart(mlrun={"api": mlrun.url, "source": "git"})
    change(stage, PUSHED)
    source = mlrun.projects["fraud"]["spec"]["source"]
    assert source.startswith("git://127.0.0.1")
    assert source.endswith("/fraud.git#refs/heads/main")
    assert any("may be newer than this commit" in one for one in plan_of(stage)["warnings"])
    before = copy.deepcopy(mlrun.projects)
    mlrun.forget_writes()
    change(stage, {"README.md": "words"})
    assert mlrun.forget_writes() == []
    assert mlrun.projects == before


@pytest.mark.parametrize(
    "forged",
    [
        {"name": "victim"},
        {"project": {"kind": "project", "metadata": {"name": "victim"}, "spec": {}}},
        {"functions": {"one": function("../../victim/functions/one")}},
    ],
)
def test_a_load_that_says_it_is_another_project_writes_nothing(
    stage: Stage, mlrun: Recorder, forged: dict[str, Any]
) -> None:
    stage.launcher.resolved |= forged
    stage.push(PUSHED)
    stage.settle()
    assert stage.states() == ["failed"]
    assert mlrun.forget_writes() == []
    assert (mlrun.projects, mlrun.functions) == ({}, {})


def test_functions_are_saved_as_this_projects(stage: Stage, mlrun: Recorder) -> None:
    stage.launcher.resolved["functions"]["one"]["metadata"]["project"] = "victim"
    change(stage, PUSHED)
    assert {one["metadata"]["project"] for one in mlrun.functions.values()} == {"fraud"}
