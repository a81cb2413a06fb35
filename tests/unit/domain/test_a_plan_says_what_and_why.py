"""The one plan: what is saved, scheduled and run, by the default rules and by `.gitops.yaml`."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.plan import Action, Cause, Inputs, Plan, ScheduleSpec, make_plan, render
from service.domain.projects import (
    Concurrency,
    Declaration,
    Resolved,
    RunOn,
    RunRule,
    ScheduleRule,
    Workflow,
    revision_id,
)
from service.errors import PlanError
from service.limits import PLAN_CHANGES
from tests.unit.domain.resolved_projects import resolved


def project(*workflows: Workflow, **params: Any) -> Resolved:
    return Resolved(name="fraud", project={"spec": {"params": params}}, workflows={one.name: one for one in workflows})


MAIN = Workflow(name="main")
NIGHTLY = Workflow(name="nightly", schedule="0 2 * * *")


def inputs(found: Resolved, declaration: Declaration | None = None, **others: Any) -> Inputs:
    usual: dict[str, Any] = {
        "cause": Cause.PUSH,
        "ref": "refs/heads/main",
        "commit": "a" * 40,
        "declaration": declaration or Declaration(),
        "resolved": found,
        "in_force": None,
        "schedules": (),
        "changed_paths": None,
    }
    return Inputs(**(usual | others))


def after_applying(plan: Plan, given: Inputs) -> Inputs:
    """The inputs of the next sync of the same commit, once `plan` was carried out."""
    wanted = tuple(one.after for one in plan.schedules if one.after is not None)
    return dataclasses.replace(given, in_force=given.resolved, schedules=wanted, changed_paths=(), cause=Cause.FOUND)


def ran(plan: Plan) -> list[str]:
    return [run.workflow for run in plan.runs]


def skipped(plan: Plan) -> str:
    return "; ".join(f"{one.what}: {one.reason}" for one in plan.skipped)


rules = st.lists(
    st.builds(
        RunRule,
        workflow=st.sampled_from(["main", "train"]),
        on=st.sampled_from(RunOn),
        arguments=st.dictionaries(st.sampled_from(["rows", "token"]), st.integers(), max_size=2),
        concurrency=st.sampled_from(Concurrency),
    ),
    max_size=3,
    unique_by=lambda rule: (rule.workflow, rule.on),
).map(tuple)
specs = st.lists(
    st.builds(
        ScheduleSpec,
        name=st.sampled_from(["main", "nightly", "gone"]),
        workflow=st.sampled_from(["main", "gone"]),
        cron=st.sampled_from(["0 2 * * *", "0 3 * * *"]),
    ),
    max_size=3,
    unique_by=lambda spec: spec.name,
).map(tuple)
paths = st.none() | st.lists(st.sampled_from(["a.py", "docs/x.md"]), max_size=2, unique=True).map(tuple)


@st.composite
def situations(draw: st.DrawFn) -> Inputs:
    found = draw(resolved)
    declared = draw(st.none() | rules)
    if declared is not None:
        declared = tuple(rule for rule in declared if rule.workflow in found.workflows)
    named = {
        f"extra-{workflow}": ScheduleRule(workflow=workflow, cron="0 5 * * *")
        for workflow in draw(
            st.lists(st.sampled_from(sorted(found.workflows)), max_size=1) if found.workflows else st.just([])
        )
    }
    return inputs(
        found,
        Declaration(run=declared, schedules=named, paths=draw(st.sampled_from([("**",), ("**", "!docs/**")]))),
        cause=draw(st.sampled_from(Cause)),
        ref=draw(st.sampled_from(["refs/heads/main", "refs/tags/v1"])),
        in_force=draw(st.none() | resolved),
        schedules=draw(specs),
        changed_paths=draw(paths),
        messages=draw(st.sampled_from([(), ("a [skip ci]",), ("b",)])),
        default_branch=draw(st.booleans()),
    )


@settings(max_examples=100, deadline=None)
@given(situations())
def test_planning_twice_is_equal(given: Inputs) -> None:
    assert make_plan(given) == make_plan(given)
    assert render(make_plan(given)) == render(make_plan(given))


@settings(max_examples=100, deadline=None)
@given(situations())
def test_after_applying_there_is_nothing_left_to_do(given: Inputs) -> None:
    first = make_plan(given)
    again = make_plan(after_applying(first, given))
    assert again.revision == first.revision
    if first.puts_in_force:
        assert not again.save
        assert again.changes == ()
        assert {one.action for one in again.schedules} <= {Action.KEEP}
        assert again.runs == ()


@settings(max_examples=100, deadline=None)
@given(situations())
def test_a_plan_is_consistent_and_says_why(given: Inputs) -> None:
    plan = make_plan(given)
    assert plan.runs or "run" in skipped(plan)
    assert all(run.reason and run.workflow in given.resolved.workflows for run in plan.runs)
    assert len(set(ran(plan))) == len(plan.runs)
    assert {one.name for one in plan.schedules if one.before} == (
        {one.name for one in given.schedules} if plan.puts_in_force else set()
    )
    assert all(one.after is None or one.after.workflow in given.resolved.workflows for one in plan.schedules)
    if given.ref.startswith("refs/tags/"):
        assert not plan.puts_in_force
        assert not plan.save
        assert not plan.schedules
        assert Concurrency.SUPERSEDE not in {run.concurrency for run in plan.runs}
    if given.cause is Cause.FIRST:
        assert not plan.runs


@settings(max_examples=100, deadline=None)
@given(situations())
def test_a_plan_goes_through_json(given: Inputs) -> None:
    plan = make_plan(given)
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


# The default rules.


def test_main_runs_and_what_has_a_schedule_is_scheduled() -> None:
    plan = make_plan(inputs(project(MAIN, NIGHTLY)))
    assert plan.save
    assert plan.puts_in_force
    assert plan.revision == revision_id(project(MAIN, NIGHTLY))
    assert ran(plan) == ["main"]
    (schedule,) = plan.schedules
    assert schedule.action is Action.CREATE
    assert schedule.after == ScheduleSpec(name="nightly", workflow="nightly", cron="0 2 * * *", timezone="UTC")


def test_the_only_workflow_without_a_schedule_runs() -> None:
    assert ran(make_plan(inputs(project(Workflow(name="train"), NIGHTLY)))) == ["train"]


@pytest.mark.parametrize(
    ("workflows", "why"),
    [
        (
            [Workflow(name="main", schedule="0 1 * * *"), Workflow(name="train")],
            "the workflow main runs by its schedule",
        ),
        ([Workflow(name="a"), Workflow(name="b")], "several workflows (a, b) and none is named main"),
        ([NIGHTLY], "every workflow runs by its schedule"),
        ([], "the project has no workflow"),
    ],
)
def test_what_does_not_run_by_the_default_rules_says_why(workflows: list[Workflow], why: str) -> None:
    plan = make_plan(inputs(project(*workflows)))
    assert plan.runs == ()
    assert why in skipped(plan)


def test_a_ref_found_without_a_push_is_saved_and_scheduled_but_nothing_runs() -> None:
    plan = make_plan(inputs(project(MAIN, NIGHTLY), cause=Cause.FIRST))
    assert plan.save
    assert [one.action for one in plan.schedules] == [Action.CREATE]
    assert plan.runs == ()
    assert "run main: the first sync of a ref that was found without a push" in skipped(plan)


def test_a_moved_ref_that_polling_found_is_like_a_push() -> None:
    assert ran(
        make_plan(inputs(project(MAIN), in_force=project(MAIN), changed_paths=("a.py",), cause=Cause.FOUND))
    ) == ["main"]


def test_changed_code_runs_also_where_the_revision_is_unchanged() -> None:
    plan = make_plan(inputs(project(MAIN), in_force=project(MAIN), changed_paths=("src/a.py",)))
    assert not plan.save
    assert plan.puts_in_force
    assert ran(plan) == ["main"]
    assert "configuration: the same revision is in force" in skipped(plan)


def test_changes_outside_paths_run_nothing_but_the_configuration_is_saved() -> None:
    declared = Declaration(paths=("**", "!docs/**"))
    plan = make_plan(
        inputs(project(MAIN, rows=2), declared, in_force=project(MAIN, rows=1), changed_paths=("docs/x.md",))
    )
    assert plan.save
    assert [change.path for change in plan.changes] == ["project.spec.params.rows"]
    assert plan.runs == ()


def test_a_skip_token_holds_back_runs_not_the_configuration() -> None:
    plan = make_plan(inputs(project(MAIN), messages=("x [skip ci]",)))
    assert plan.save
    assert plan.runs == ()
    assert "[skip ci]" in skipped(plan)


def test_another_branch_without_declared_refs_puts_nothing_in_force() -> None:
    plan = make_plan(inputs(project(MAIN, NIGHTLY), ref="refs/heads/x", default_branch=False))
    assert (plan.save, plan.puts_in_force, plan.runs, plan.schedules) == (False, False, (), ())
    assert "not the repository's default branch" in skipped(plan)
    declared = Declaration(refs=("x",))
    assert make_plan(inputs(project(MAIN), declared, ref="refs/heads/x", default_branch=False)).save


# `.gitops.yaml`.


def test_run_rules_say_what_runs_on_what() -> None:
    declared = Declaration(
        run=(
            RunRule(workflow="train", arguments={"rows": 5}, concurrency=Concurrency.QUEUE),
            RunRule(workflow="release", on=RunOn.TAG),
            RunRule(workflow="clean", on=RunOn.MANUAL),
        )
    )
    found = project(MAIN, *(Workflow(name=name) for name in ("train", "release", "clean")))
    (run,) = make_plan(inputs(found, declared)).runs
    assert (run.workflow, run.arguments, run.concurrency) == ("train", {"rows": 5}, Concurrency.QUEUE)
    (run,) = make_plan(inputs(found, declared, ref="refs/tags/v1")).runs
    assert (run.workflow, run.concurrency) == ("release", Concurrency.QUEUE)
    assert ran(make_plan(inputs(found, declared, cause=Cause.MANUAL, changed_paths=()))) == ["train"]


def test_a_tag_runs_whatever_its_commits_say() -> None:
    declared = Declaration(run=(RunRule(workflow="main", on=RunOn.TAG),), paths=("src/**",))
    given = inputs(
        project(MAIN), declared, ref="refs/tags/v1", changed_paths=("a.md",), messages=("release [skip ci]",)
    )
    assert ran(make_plan(given)) == ["main"]


def test_no_run_rules_means_that_nothing_runs() -> None:
    plan = make_plan(inputs(project(MAIN), Declaration(run=())))
    assert plan.runs == ()
    assert "no run rule of .gitops.yaml says on: push" in skipped(plan)


def test_schedules_of_the_declaration_win_by_name_and_add_others() -> None:
    declared = Declaration(
        schedules={
            "nightly": ScheduleRule(workflow="main", cron="0 4 * * *", timezone="Europe/Berlin"),
            "weekly": ScheduleRule(workflow="nightly", cron="0 5 * * 0"),
        }
    )
    plan = make_plan(inputs(project(MAIN, NIGHTLY), declared))
    assert {one.name: (one.after.workflow, one.after.cron) for one in plan.schedules if one.after} == {
        "nightly": ("main", "0 4 * * *"),
        "weekly": ("nightly", "0 5 * * 0"),
    }


def test_a_workflow_that_only_its_run_can_check_is_told() -> None:
    resolved = dataclasses.replace(project(), checks={"main": "compiled", "other": "run"})
    (warning,) = make_plan(inputs(resolved)).warnings
    assert warning.startswith("workflow other is checked at run")


def test_two_schedules_of_one_workflow_are_warned_about() -> None:
    declared = Declaration(schedules={"early": ScheduleRule(workflow="nightly", cron="0 1 * * *")})
    (warning,) = make_plan(inputs(project(NIGHTLY), declared)).warnings
    assert "nightly" in warning
    assert "early" in warning


def test_schedules_are_created_changed_removed_and_kept() -> None:
    def spec(name: str, cron: str, workflow: str = "main") -> ScheduleSpec:
        return ScheduleSpec(name=name, workflow=workflow, cron=cron)

    in_force = (
        spec("same", "0 1 * * *"),
        spec("moved", "0 1 * * *"),
        spec("gone", "0 1 * * *"),
        spec("old", "0 1 * * *", "old"),
    )
    declared = Declaration(
        schedules={name: ScheduleRule(workflow="main", cron=cron) for name, cron in
                   [("same", "0 1 * * *"), ("moved", "0 2 * * *"), ("new", "0 3 * * *")]}
    )  # fmt: skip
    plan = make_plan(inputs(project(MAIN), declared, schedules=in_force))
    assert {one.name: (one.action, one.reason) for one in plan.schedules} == {
        "gone": (Action.REMOVE, "nothing declares it any more"),
        "moved": (Action.CHANGE, "cron changed"),
        "new": (Action.CREATE, "main at 0 3 * * * (UTC)"),
        "old": (Action.REMOVE, "the workflow old is gone"),
        "same": (Action.KEEP, "as in force"),
    }


# What cannot be.


@pytest.mark.parametrize(
    ("found", "declared", "said"),
    [
        (project(MAIN), Declaration(run=(RunRule(workflow="mian"),)), "names the workflow 'mian'.*its workflows are: main"),
        (project(), Declaration(run=(RunRule(workflow="main"),)), "its workflows are: none"),
        (project(MAIN), Declaration(schedules={"n": ScheduleRule(workflow="x", cron="0 1 * * *")}), "'n'.*names the workflow 'x'"),
        (project(Workflow(name="a", schedule="0 0 * * 8")), Declaration(), "the workflow 'a': cron .* is no day of week"),
        (project(Workflow(name="a", schedule="0 0 * * * *")), Declaration(), "has 6 fields, not 5"),
        (project(Workflow(name="a", schedule="0 0 31 2 *")), Declaration(), "never fires"),
        (project(Workflow(name="a", spec={"schedule": {"minute": "0"}})), Declaration(), "'a' is a dict.*five fields in quotes"),
        (project(Workflow(name="a", schedule={"minute": 0})), Declaration(), "is a dict"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_cannot_be_is_a_plan_error_that_names_it(found: Resolved, declared: Declaration, said: str) -> None:
    with pytest.raises(PlanError, match=f"(?s){said}"):
        make_plan(inputs(found, declared))


def test_an_engine_that_mlrun_would_not_schedule_is_scheduled_by_us() -> None:
    assert make_plan(inputs(project(Workflow(name="a", engine="local", schedule="0 1 * * *")))).schedules


# For people.


def test_a_plan_reads_well() -> None:
    declared = Declaration(run=(RunRule(workflow="main", arguments={"rows": 5, "token": "abc"}),))
    given = inputs(
        project(MAIN, NIGHTLY, rows=2),
        declared,
        in_force=project(MAIN, rows=1),
        schedules=(ScheduleSpec(name="nightly", workflow="nightly", cron="0 1 * * *"),),
        changed_paths=("a.py", "b.py"),
    )
    plan = make_plan(given)
    assert render(plan) == [
        f"fraud: main at aaaaaaaaaaaa (push), revision {plan.revision}",
        "save the configuration",
        "  ~ project.spec.params.rows: 1 → 2",
        "  + workflows.nightly: {'args': {}, 'engine': 'kfp', 'name': 'nightly', 'schedule': '0 2 * * *', 'spec': {}}",
        "~ schedule nightly: cron changed: 0 1 * * * (UTC) → 0 2 * * * (UTC)",
        "> run main: push to main: a.py and 1 more changed with {'rows': 5, 'token': '***'}",
    ]


def test_a_rewritten_project_lists_its_first_differences_and_counts_the_rest() -> None:
    many = {f"p{n}": n for n in range(PLAN_CHANGES + 7)}
    plan = make_plan(inputs(project(MAIN, **many), in_force=project(MAIN)))
    assert len(plan.changes) == PLAN_CHANGES
    assert "7 more differences are not listed" in plan.warnings


def test_what_waiting_means_for_runs_of_mlruns_own_is_said() -> None:
    waits = Declaration(run=(RunRule(workflow="main", concurrency=Concurrency.QUEUE),))
    assert any(
        "fails if a push changes" in one for one in make_plan(inputs(project(MAIN), waits, runs_in_mlrun=True)).warnings
    )
    assert make_plan(inputs(project(MAIN), waits)).warnings == ()
    assert make_plan(inputs(project(MAIN), runs_in_mlrun=True)).warnings == ()
