"""Which schedules a project wants, and how that differs from those in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from service.domain import cron
from service.domain.planned import Action, PlannedSchedule, ScheduleSpec
from service.domain.projects import Declaration, Resolved, Workflow
from service.errors import CronError, PlanError

_FIELDS = ("workflow", "cron", "timezone", "catch_up", "arguments")


def wanted(declaration: Declaration, resolved: Resolved) -> dict[str, ScheduleSpec]:
    """By name: project.yaml's, then `.gitops.yaml`'s, which win. Raises PlanError."""
    found = {
        workflow.name: ScheduleSpec(name=workflow.name, workflow=workflow.name, cron=expression)
        for workflow in resolved.workflows.values()
        if (expression := _own(workflow)) is not None
    }
    for name, rule in declaration.schedules.items():
        known(rule.workflow, resolved, who=f"the schedule {name!r} of .gitops.yaml")
        found[name] = ScheduleSpec(
            name=name,
            workflow=rule.workflow,
            cron=_checked(rule.cron, rule.timezone, who=f"the schedule {name!r} of .gitops.yaml"),
            timezone=rule.timezone,
            catch_up=rule.catch_up,
            arguments=rule.arguments,
        )
    return found


def compare(
    in_force: Iterable[ScheduleSpec], new: Mapping[str, ScheduleSpec], workflows: Iterable[str]
) -> tuple[PlannedSchedule, ...]:
    """One line a schedule, by name: created, changed, removed or kept."""
    old, exist = {spec.name: spec for spec in in_force}, set(workflows)
    return tuple(_line(old.get(name), new.get(name), exist) for name in sorted(old.keys() | new.keys()))


def known(workflow: str, resolved: Resolved, *, who: str) -> None:
    """Raise PlanError unless the project has this workflow."""
    if workflow not in resolved.workflows:
        names = ", ".join(sorted(resolved.workflows)) or "none"
        raise PlanError(
            f"{who} names the workflow {workflow!r}, which the project does not have",
            mend=f"its workflows are: {names}",
        )


def _own(workflow: Workflow) -> str | None:
    """The cron expression that project.yaml gives a workflow."""
    said = workflow.schedule if workflow.schedule is not None else workflow.spec.get("schedule")
    who = f"the schedule of the workflow {workflow.name!r}"
    if said is None or said == "":
        return None
    if not isinstance(said, str):
        raise PlanError(
            f"{who} is a {type(said).__name__}, not a cron expression",
            mend='write five fields in quotes, for example schedule: "0 2 * * 1-5"; MLRun saves no other form',
        )
    return _checked(said, "UTC", who=who)


def _checked(expression: str, timezone: str, *, who: str) -> str:
    try:
        return cron.parse(expression, timezone).expression
    except CronError as error:
        raise PlanError(f"{who}: {error.what}", mend=error.mend) from None


def _line(before: ScheduleSpec | None, after: ScheduleSpec | None, workflows: set[str]) -> PlannedSchedule:
    if before is None:
        assert after is not None
        action, reason = Action.CREATE, f"{after.workflow} at {when(after)}"
    elif after is None:
        gone = before.workflow not in workflows
        action = Action.REMOVE
        reason = f"the workflow {before.workflow} is gone" if gone else "nothing declares it any more"
    elif before == after:
        action, reason = Action.KEEP, "as in force"
    else:
        differ = [field for field in _FIELDS if getattr(before, field) != getattr(after, field)]
        action, reason = Action.CHANGE, f"{', '.join(differ)} changed"
    spec = after or before
    assert spec is not None
    return PlannedSchedule(action=action, name=spec.name, reason=reason, before=before, after=after)


def when(spec: ScheduleSpec) -> str:
    return f"{spec.cron} ({spec.timezone})"
