"""The one plan: what a sync will do and why. Preview, `plan` and a push print the same object.

`make_plan` is a function of what Git says (declaration, resolved project), what is in force, and what moved. It
decides; the reconciler only carries out.

Decisions worth knowing:

- A sync of a branch puts its commit in force, and saves unless that very revision is in force already. A tag's sync
  saves and schedules nothing; it only runs its `on: tag` rules, each run in its turn.
- Which workflows run: first `triggers.should_run` (paths, skip tokens, first sync), then the rules: `.gitops.yaml`'s
  for a push; without them the workflow `main` if it has no schedule, and where there is no `main`, the only
  workflow that has none.
- A commit whose changes lie outside `paths`, an empty one too, runs nothing. Changed code runs also where the
  revision is unchanged.
- The image of every workflow is chosen, and the project's Python held against MLRun's, before anything is done: what has no image is
  an error of the plan, not of a run at night.
- What a project adds to its runner's image is built by MLRun when a run first needs it; the plan names the image.
- What MLRun's runner or MLRun's clock cannot do, where they are to, is an error of the plan too.
- Schedules are project.yaml's (named as their workflow, UTC) and `.gitops.yaml`'s, which win by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from service.domain import image_choice, mlrun_requests, mlrun_schedules, own_images, schedules, triggers
from service.domain.diff import diff, masked, shown
from service.domain.images import RunnerImage
from service.domain.planned import (
    Action,
    Cause,
    Change,
    Inputs,
    Plan,
    PlannedImage,
    PlannedRun,
    PlannedSchedule,
    PlannedWrite,
    ScheduleSpec,
    Skipped,
    WriteKind,
)
from service.domain.projects import Concurrency, Declaration, Resolved, RunOn, RunRule, revision_id
from service.domain.refs import short
from service.domain.writes import not_pruned, plan_writes
from service.limits import PLAN_CHANGES

__all__ = [
    "Action",
    "Cause",
    "Change",
    "Inputs",
    "Plan",
    "PlannedImage",
    "PlannedRun",
    "PlannedSchedule",
    "PlannedWrite",
    "ScheduleSpec",
    "Skipped",
    "WriteKind",
    "make_plan",
    "render",
]

MAIN = "main"


def make_plan(inputs: Inputs) -> Plan:
    """What to do about `inputs`, and why. Raises PlanError where the declaration asks for what cannot be."""
    declaration: Declaration = inputs.declaration
    for rule in declaration.run or ():
        schedules.known(rule.workflow, inputs.resolved, who="a run rule of .gitops.yaml")
    wanted = _wanted(inputs)
    revision = revision_id(inputs.resolved)
    in_force = _puts_in_force(inputs)
    unchanged = inputs.in_force is not None and revision_id(inputs.in_force) == revision
    images = image_choice.choose(inputs)
    image_choice.check_allowed(inputs, images)
    builds = own_images.builds(inputs, images)
    own_images.check(inputs, wanted)
    images = {
        name: replace(one, image=builds[name].image if name in builds else one.image) for name, one in images.items()
    }
    changes = diff(inputs.in_force, inputs.resolved) if in_force and not unchanged else ()
    saving = inputs.saving if in_force else None
    scheduled = {spec.workflow for spec in wanted.values()}
    runs, not_run = _runs(inputs, images, scheduled)
    if inputs.runs_in_mlrun:
        asked = [(run.workflow, run.arguments) for run in runs]
        mlrun_requests.check(declaration, inputs.resolved.workflows, asked, tag=triggers.is_tag(inputs.ref))
    return Plan(
        project=inputs.resolved.name,
        ref=inputs.ref,
        commit=inputs.commit,
        cause=inputs.cause,
        revision=revision,
        save=in_force and not unchanged,
        puts_in_force=in_force,
        changes=changes[:PLAN_CHANGES],
        runs=runs,
        schedules=schedules.compare(inputs.schedules, wanted, inputs.resolved.workflows) if in_force else (),
        writes=plan_writes(saving) if saving else (),
        images=own_images.planned(inputs, builds, {*scheduled, *(run.workflow for run in runs)}),
        additions=inputs.additions,
        skipped=(
            *_not_saved(inputs, in_force=in_force, unchanged=unchanged),
            *(not_pruned(saving) if saving else ()),
            *not_run,
        ),
        warnings=(
            *inputs.resolved.warnings,
            *_unchecked(inputs.resolved),
            *image_choice.warnings(inputs, images),
            *_warnings(wanted, changes),
            *(saving.warnings if saving else ()),
            *(mlrun_requests.warnings(runs) if inputs.runs_in_mlrun else ()),
        ),
    )


def render(plan: Plan) -> list[str]:
    """The plan as lines for people; equal plans give equal lines."""
    lines = [f"{plan.project}: {short(plan.ref)} at {plan.commit[:12]} ({plan.cause}), revision {plan.revision}"]
    lines.append("save the configuration" if plan.save else "keep the configuration")
    lines += [f"  {_SIGNS[change.action]} {change.path}{_values(change)}" for change in plan.changes]
    lines += [f"{_SIGNS[one.action]} schedule {one.name}: {one.reason}{_times(one)}" for one in plan.schedules]
    lines += [f"{_SIGNS[one.action]} {_of_mlrun(one)}: {one.reason}" for one in plan.writes]
    lines += [f"{'=' if one.is_there else '+'} {own_images.told(one)}" for one in plan.images]
    for run in plan.runs:
        lines.append(f"> run {run.workflow}: {run.reason}{_arguments(run)}")
        lines += [f"    image {run.image}"] if run.image else []
    lines += [f"  skip {one.what}: {one.reason}" for one in plan.skipped]
    lines += [f"! {warning}" for warning in plan.warnings]
    return lines


def _wanted(inputs: Inputs) -> dict[str, ScheduleSpec]:
    wanted = schedules.wanted(inputs.declaration, inputs.resolved)
    if not inputs.clock_in_mlrun or not _puts_in_force(inputs):
        return wanted
    for spec in wanted.values():
        mlrun_requests.arguments(inputs.resolved.workflows[spec.workflow], spec.arguments)
    return mlrun_schedules.kept(inputs.declaration, wanted)


_SIGNS = {Action.CREATE: "+", Action.CHANGE: "~", Action.REMOVE: "-", Action.KEEP: "="}


def _unchecked(resolved: Resolved) -> Iterator[str]:
    """Workflows of which only a run will tell whether they start: their code, or what it needs, is not where projects are loaded."""
    for workflow, how in sorted(resolved.checks.items()):
        if how == "run":
            yield f"workflow {workflow} is checked at run: its code or its image is not where the project was loaded"


def _puts_in_force(inputs: Inputs) -> bool:
    """A tag never does, nor a branch that only the default declaration stands for and that is not the default."""
    return not triggers.is_tag(inputs.ref) and (inputs.default_branch or bool(inputs.declaration.refs))


def _runs(
    inputs: Inputs, images: dict[str, RunnerImage], scheduled: set[str]
) -> tuple[tuple[PlannedRun, ...], tuple[Skipped, ...]]:
    tag = triggers.is_tag(inputs.ref)
    rules, why_none = _rules(inputs, scheduled)
    if not rules:
        return (), (Skipped(what="runs", reason=why_none),)
    go = triggers.should_run(
        inputs.declaration,
        cause=inputs.cause,
        changed_paths=None if tag else inputs.changed_paths,
        messages=() if tag else inputs.messages,
    )
    if not go.yes:
        return (), tuple(Skipped(what=f"run {rule.workflow}", reason=go.reason) for rule in rules)
    return tuple(
        PlannedRun(
            workflow=rule.workflow,
            reason=f"{'tag' if tag else 'push to'} {short(inputs.ref)}: {go.reason}",
            arguments=rule.arguments,
            concurrency=Concurrency.QUEUE if tag and rule.concurrency is Concurrency.SUPERSEDE else rule.concurrency,
            image=images[rule.workflow].image if rule.workflow in images else None,
        )
        for rule in rules
    ), ()


def _rules(inputs: Inputs, scheduled: set[str]) -> tuple[tuple[RunRule, ...], str]:
    """The rules that this ref can set off; without any, why."""
    declaration: Declaration = inputs.declaration
    if triggers.is_tag(inputs.ref):
        rules = tuple(rule for rule in declaration.run or () if rule.on is RunOn.TAG)
        return rules, "no run rule says on: tag"
    if not _puts_in_force(inputs):
        return (), f"{short(inputs.ref)} is not the repository's default branch, and no refs are declared"
    if declaration.run is not None:
        rules = tuple(rule for rule in declaration.run if rule.on is RunOn.PUSH)
        return rules, "no run rule of .gitops.yaml says on: push"
    return _default_rules(inputs.resolved, scheduled)


def _default_rules(resolved: Resolved, scheduled: set[str]) -> tuple[tuple[RunRule, ...], str]:
    if MAIN in resolved.workflows:
        if MAIN in scheduled:
            return (), f"the workflow {MAIN} runs by its schedule"
        return (RunRule(workflow=MAIN),), ""
    free = sorted(resolved.workflows.keys() - scheduled)
    if len(free) == 1:
        return (RunRule(workflow=free[0]),), ""
    if free:
        return (), f"several workflows ({', '.join(free)}) and none is named {MAIN}; .gitops.yaml can say which runs"
    return (), "every workflow runs by its schedule" if resolved.workflows else "the project has no workflow"


def _not_saved(inputs: Inputs, *, in_force: bool, unchanged: bool) -> Iterator[Skipped]:
    if in_force:
        if unchanged:
            yield Skipped(what="configuration", reason="the same revision is in force")
        return
    kind = "a tag" if triggers.is_tag(inputs.ref) else "a branch that is not the project's"
    yield Skipped(what="configuration", reason=f"{kind} puts nothing in force")
    yield Skipped(what="schedules", reason=f"{kind} puts nothing in force")


def _warnings(wanted: dict[str, ScheduleSpec], changes: tuple[Change, ...]) -> Iterator[str]:
    by_workflow: dict[str, list[str]] = {}
    for spec in wanted.values():
        by_workflow.setdefault(spec.workflow, []).append(spec.name)
    for workflow, names in sorted(by_workflow.items()):
        if len(names) > 1 and workflow in names:
            others = ", ".join(sorted(name for name in names if name != workflow))
            yield (
                f"the workflow {workflow} has its own schedule in project.yaml and another by .gitops.yaml ({others}); "
                f"both are in force. Name the latter {workflow} to replace the former."
            )
    if len(changes) > PLAN_CHANGES:
        yield f"{len(changes) - PLAN_CHANGES} more differences are not listed"


def _values(change: Change) -> str:
    if change.action is Action.CHANGE:
        return f": {change.before!r} → {change.after!r}"
    return f": {change.after if change.action is Action.CREATE else change.before!r}"


def _times(one: PlannedSchedule) -> str:
    if (
        one.action is Action.CHANGE
        and one.before
        and one.after
        and schedules.when(one.before) != schedules.when(one.after)
    ):
        return f": {schedules.when(one.before)} → {schedules.when(one.after)}"
    return ""


def _of_mlrun(write: PlannedWrite) -> str:
    return "MLRun's project" if write.kind is WriteKind.PROJECT else f"MLRun's {write.kind} {write.name}"


def _arguments(run: PlannedRun) -> str:
    return f" with {shown(masked(run.arguments))}" if run.arguments else ""
