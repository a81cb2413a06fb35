"""What is written into MLRun: decided from Git's documents, what was read back at the last save, and what is there now."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from service.domain import drift
from service.domain.drift import Saved, There
from service.domain.planned import Action, PlannedWrite, WriteKind
from service.domain.saving import Documents
from service.domain.writes import Saving, not_pruned, plan_writes
from service.errors import PlanError

Json = dict[str, Any]
HERE, LATER = "https://gitops.example.com/archives/x/1.tar.gz", "https://gitops.example.com/archives/y/2.tar.gz"


def function(name: str, code: str = "cHJpbnQ=", **spec: Any) -> Json:
    build = {"functionSourceCode": code, "code_origin": "https://git.example.com/x#1"}
    return {
        "kind": "job",
        "metadata": {"name": name, "project": "fraud"},
        "spec": {"image": "docker.io/mlrun/mlrun:1.9.2", "build": build, "env": [], **spec},
    }


def project(source: str = HERE, **params: Any) -> Json:
    return {
        "kind": "project",
        "metadata": {"name": "fraud"},
        "spec": {"source": source, "origin_url": source, "params": params},
    }


def documents(*functions: Json, workflows: tuple[str, ...] = ("main",), **params: Any) -> Documents:
    return Documents(
        project=project(**params), functions={one["metadata"]["name"]: one for one in functions}, workflows=workflows
    )


def as_served(document: Json) -> Json:
    """What MLRun makes of a document that it was sent."""
    served: Json = copy.deepcopy(document)
    served["metadata"] |= {"updated": "2024-05-05", "hash": "abc", "tag": "latest"}
    served["status"] = {"state": "online"}
    served["spec"]["priority_class_name"] = ""
    return served


def there(wanted: Documents, **schedules: Json) -> There:
    functions = {name: as_served(one) for name, one in wanted.functions.items()}
    return There(project=as_served(wanted.project), functions=functions, schedules=schedules)


def saved(wanted: Documents) -> Saved:
    """As after a save of `wanted`."""
    now = there(wanted)
    assert now.project is not None
    return Saved(
        source=wanted.source,
        project=drift.kept(wanted.project, now.project),
        functions={name: drift.kept(one, now.functions[name]) for name, one in wanted.functions.items()},
        workflows=wanted.workflows,
    )


def settled(wanted: Documents) -> Saving:
    """Nothing changed since it was saved."""
    return Saving(wanted=wanted, there=there(wanted), saved=saved(wanted))


def lines(saving: Saving) -> list[tuple[str, str, str]]:
    return [(one.kind.value, one.name, one.action.value) for one in plan_writes(saving)]


def fires(name: str, *, workflow: bool = True) -> Json:
    """A schedule in MLRun, of a workflow or of a job of somebody's own."""
    labels = {"job-type": "workflow-runner", "workflow": name} if workflow else {"kind": "job"}
    return {"name": name, "labels": labels, "scheduled_object": {"task": {"metadata": {"name": name}}}}


ONE, TWO = function("one"), function("two")


def test_nothing_is_written_where_nothing_changed() -> None:
    assert plan_writes(settled(documents(ONE, TWO, rows=1))) == ()


def test_of_five_hundred_functions_the_one_that_changed_is_written() -> None:
    before = documents(*(function(f"f{number}") for number in range(500)))
    wanted = documents(*(function(f"f{number}", "bmV3" if number == 7 else "cHJpbnQ=") for number in range(500)))
    (write,) = plan_writes(replace(settled(before), wanted=wanted))
    assert write == PlannedWrite(kind=WriteKind.FUNCTION, name="f7", action=Action.CHANGE, reason="changed in Git")


def test_without_a_base_everything_is_written() -> None:
    wanted = documents(ONE, TWO)
    first = Saving(wanted=wanted, there=there(wanted), saved=None)
    assert lines(first) == [
        ("function", "one", "change"),
        ("function", "two", "change"),
        ("project", "fraud", "change"),
    ]


def test_a_project_that_mlrun_does_not_know_comes_before_its_functions() -> None:
    fresh = Saving(wanted=documents(ONE), there=There(), saved=None)
    assert lines(fresh) == [("project", "fraud", "create"), ("function", "one", "create")]


@pytest.mark.parametrize(
    "meddle",
    [
        lambda f: f["spec"].update(image="somebody/else:1"),
        lambda f: f["spec"]["build"].update(functionSourceCode="aGFjaw=="),
        lambda f: f["spec"].pop("image"),
        lambda f: f.update(kind="mpijob"),
    ],
)
def test_what_somebody_changed_in_a_function_is_written_anew(meddle: Any) -> None:
    saving = settled(documents(ONE, TWO))
    meddle(saving.there.functions["one"])
    (write,) = plan_writes(saving)
    assert (write.kind, write.name) == (WriteKind.FUNCTION, "one")
    assert write.reason.startswith("changed in MLRun: ")


@pytest.mark.parametrize(
    "enrich",
    [
        lambda f: f["spec"].update(volumes=[{"name": "v3io"}], volume_mounts=[{"name": "v3io", "mountPath": "/v3io"}]),
        lambda f: f["metadata"].update(credentials={"access_key": "$generate"}, hash="new", updated="2030-01-01"),
        lambda f: f["spec"]["env"].append({"name": "V3IO_API", "value": "x"}),
        lambda f: f["spec"]["build"].update(code_origin="https://elsewhere.example.com#2"),
        lambda f: f["status"].update(state="ready", build_pod="p"),
        lambda f: f["spec"].update(priority_class_name="igz-workload-medium", node_selector={"a": "b"}),
    ],
)
def test_what_mlrun_adds_when_it_runs_a_function_is_no_drift(enrich: Any) -> None:
    saving = settled(documents(ONE, TWO))
    enrich(saving.there.functions["one"])
    assert plan_writes(saving) == ()


def test_what_somebody_adds_to_the_project_is_drift() -> None:
    saving = settled(documents(ONE, rows=1))
    assert saving.there.project is not None
    saving.there.project["spec"]["params"]["extra"] = 1
    (write,) = plan_writes(saving)
    assert (write.kind, write.reason) == (WriteKind.PROJECT, "changed in MLRun: spec.params.extra")


def test_another_owner_and_state_of_the_project_are_mlruns_business() -> None:
    saving = settled(documents(ONE))
    assert saving.there.project is not None
    saving.there.project["spec"]["owner"] = "ada"
    saving.there.project["status"] = {"state": "archived"}
    assert plan_writes(saving) == ()


def test_a_later_commit_of_the_same_configuration_writes_the_project_alone() -> None:
    before = documents(ONE)
    wanted = replace(before, project=project(LATER))
    (write,) = plan_writes(replace(settled(before), wanted=wanted))
    assert (write.kind, write.reason) == (WriteKind.PROJECT, "its files are those of this commit")


def test_a_source_that_somebody_changed_is_written_anew() -> None:
    saving = settled(documents(ONE))
    assert saving.there.project is not None
    saving.there.project["spec"]["source"] = "git://fork.example.com/x.git#main"
    (write,) = plan_writes(saving)
    assert write.reason == "changed in MLRun: spec.source"


def test_what_is_gone_is_written_anew() -> None:
    saving = settled(documents(ONE, TWO))
    del saving.there.functions["two"]
    (write,) = plan_writes(saving)
    assert (write.name, write.action, write.reason) == ("two", Action.CREATE, "it is gone from MLRun")


def test_removed_is_what_the_last_save_had_and_only_where_it_is_asked_for() -> None:
    saving = settled(documents(ONE, TWO))
    saving.there.functions["stranger"] = as_served(function("stranger"))
    less = replace(saving, wanted=documents(ONE))
    assert plan_writes(less) == ()
    assert [(one.what, one.reason) for one in not_pruned(less)] == [
        ("function two", "Git has it no more; it stays in MLRun, since prune is false")
    ]
    assert lines(replace(less, prune=True)) == [("function", "two", "remove")]
    assert not list(not_pruned(replace(less, prune=True)))


def test_functions_go_before_schedules_are_written_since_mlrun_removes_schedules_with_them() -> None:
    before = documents(ONE, TWO, workflows=("main", "two"))
    saving = replace(settled(before), prune=True, clears_schedules=False)
    saving.there.schedules.update(main=fires("main"), two=fires("two"))
    asked = {
        "two": {"spec": {"schedule": "0 2 * * *", "image": "i:1"}, "source": HERE, "run_name": "workflow-runner-two"}
    }
    wanted = replace(documents(ONE, workflows=("main", "two")), schedules=asked)
    writes = plan_writes(replace(saving, wanted=wanted))
    assert [(one.kind.value, one.name, one.action.value) for one in writes] == [
        ("function", "two", "remove"),
        ("schedule", "two", "change"),
        ("schedule", "main", "remove"),
    ]
    assert writes[1].reason == "MLRun removes it with the function of that name"


@pytest.mark.parametrize("workflow", [True, False])
def test_a_function_stays_whose_name_a_schedule_has_that_is_not_gits(workflow: bool) -> None:
    saving = replace(settled(documents(ONE, TWO)), wanted=documents(ONE), prune=True)
    saving.there.schedules["two"] = fires("two", workflow=workflow)
    assert plan_writes(saving) == ()
    (kept,) = not_pruned(saving)
    assert kept.what == "function two"
    assert "would remove the schedule of that name" in kept.reason


@pytest.mark.parametrize("name", ["workflow-runner-main", "Workflow_Runner_x"])
def test_a_function_that_is_called_as_mlrun_calls_its_runners_is_refused(name: str) -> None:
    with pytest.raises(PlanError, match="as MLRun calls the functions that it makes to run workflows") as refused:
        plan_writes(settled(documents(ONE, function(name))))
    assert name in refused.value.what


def test_mlruns_schedules_under_names_of_our_workflows_give_way() -> None:
    wanted = documents(ONE, workflows=("main", "nightly"))
    before = documents(ONE, workflows=("main", "old"))
    now = there(before, main=fires("main"), old=fires("old"), theirs=fires("theirs"))
    saving = Saving(wanted=wanted, there=now, saved=saved(before))
    assert lines(saving) == [("schedule", "main", "remove"), ("schedule", "old", "remove")]
    assert {one.reason.partition(":")[0] for one in plan_writes(saving)} == {"MLRun's own schedule gives way"}
    by_mlrun = plan_writes(replace(saving, clears_schedules=False))
    assert {one.reason for one in by_mlrun} == {"nothing declares it any more"}, (
        "MLRun fires, and Git declares none of them"
    )


def test_the_label_counts_where_it_stands_on_the_task_alone() -> None:
    saving = settled(documents(ONE))
    task = {"metadata": {"labels": {"job-type": "workflow-runner"}}}
    saving.there.schedules["main"] = {"name": "main", "labels": None, "scheduled_object": {"task": task}}
    assert lines(saving) == [("schedule", "main", "remove")]


def test_a_schedule_of_somebodys_job_stays_although_a_workflow_has_its_name() -> None:
    saving = settled(documents(ONE, workflows=("main", "train")))
    saving.there.schedules["train"] = fires("train", workflow=False)
    assert plan_writes(saving) == ()
    assert plan_writes(replace(saving, clears_schedules=False)) == ()


def test_mlrun_cannot_fire_a_workflow_whose_name_a_jobs_schedule_has() -> None:
    saving = settled(documents(ONE, workflows=("train",)))
    saving.there.schedules["train"] = fires("train", workflow=False)
    wanted = replace(saving.wanted, schedules={"train": {}})
    with pytest.raises(PlanError, match="MLRun has a schedule train that runs a job") as refused:
        plan_writes(replace(saving, wanted=wanted, clears_schedules=False))
    assert "name the workflow otherwise" in refused.value.mend


def test_the_report_says_what_git_has_what_was_saved_and_what_is_there() -> None:
    wanted = documents(function("one", env=[{"name": "DB_PASSWORD", "value": "old"}]), rows=1)
    saving = settled(wanted)
    assert saving.saved is not None
    assert saving.there.project is not None
    assert drift.report(wanted, saving.saved, saving.there) == ()
    saving.there.project["spec"]["params"]["rows"] = 2
    saving.there.functions["one"]["spec"]["env"][0]["value"] = "new"
    found = drift.report(wanted, saving.saved, saving.there)
    assert [(one.what, one.path, one.git, one.saved, one.there) for one in found] == [
        ("project", "spec.params.rows", 1, 1, 2),
        ("function one", "spec.env[DB_PASSWORD].value", "***", "***", "***"),
    ]


def test_a_source_in_the_report_gives_nobody_access_to_it() -> None:
    wanted = documents(ONE, source="https://gitops.example.com/archives/Zm9v.c2ln/0123.tar.gz")
    saving = settled(wanted)
    assert saving.saved is not None
    assert saving.there.project is not None
    saving.there.project["spec"]["source"] = "git://bob:ghp_x@github.com/acme/x.git#main"
    (found,) = drift.report(wanted, saving.saved, saving.there)
    masked = "https://gitops.example.com/archives/***/0123.tar.gz"
    assert (found.path, found.git, found.saved) == ("spec.source", masked, masked)
    assert found.there == "git://***@github.com/acme/x.git#main"
