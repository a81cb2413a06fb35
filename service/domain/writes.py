"""What has to be written into MLRun so that it has what Git says: only what changed, each with its reason.

A function is written when Git's version of it changed since it was last saved, when what is there now is not what was read back then,
or when it was never saved from here. Names are only taken away that the last save had and this one has not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from service.domain import drift, mlrun_scheduled
from service.domain.drift import Difference, Saved, There
from service.domain.identity import normal
from service.domain.mlrun_requests import RUNNER_PREFIX
from service.domain.planned import Action, PlannedWrite, Skipped, WriteKind
from service.domain.saving import Documents
from service.errors import PlanError

# Fields that are named where somebody changed something in MLRun; the rest is counted.
_NAMED = 3
_UNFINISHED = "a save that did not end may have written it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """Everything that decides what is written. `saved` None: nothing was saved from here before.

    `prune`: functions that Git has no more are removed. `clears_schedules`: MLRun fires nothing of ours. Its schedules of workflows, under
    the names of ours, give way, all but those that it is to fire; one of a job is somebody's own, whatever its name. `left`: workflows of
    whoever had the name before, whose schedules may be there still. `unfinished`: what saves that did not end may have written; None where
    every save ended.
    """

    wanted: Documents
    there: There
    saved: Saved | None = None
    prune: bool = False
    clears_schedules: bool = True
    left: tuple[str, ...] = ()
    unfinished: tuple[PlannedWrite, ...] | None = None
    warnings: tuple[str, ...] = ()


def plan_writes(saving: Saving) -> tuple[PlannedWrite, ...]:
    """In the order in which they are done: functions, the project, functions that go, schedules, schedules that go.

    Where MLRun does not know the project yet, that comes first: functions belong to it. MLRun removes with a function the schedule that
    has its name, so functions go before schedules are written. Raises PlanError for names that MLRun has other uses for.
    """
    _check_names(saving)
    functions, project = tuple(_functions(saving)), tuple(_project(saving))
    first = (*functions, *project) if saving.there.project is not None else (*project, *functions)
    return (*first, *_pruned(saving), *_schedules(saving))


def not_pruned(saving: Saving) -> Iterator[Skipped]:
    """Functions that stay although Git has them no more."""
    for name in _gone(saving):
        if not saving.prune:
            yield Skipped(what=f"function {name}", reason="Git has it no more; it stays in MLRun, since prune is false")
        elif name in _held(saving):
            reason = "Git has it no more; it stays in MLRun, which would remove the schedule of that name with it, and that is not of Git's"
            yield Skipped(what=f"function {name}", reason=reason)


def _check_names(saving: Saving) -> None:
    for name in sorted(saving.wanted.functions):
        if normal(name).startswith(RUNNER_PREFIX):
            raise PlanError(
                f"the function {name} is called as MLRun calls the functions that it makes to run workflows ({RUNNER_PREFIX}...)",
                mend="name it otherwise",
            )


def _functions(saving: Saving) -> Iterator[PlannedWrite]:
    before = saving.saved.functions if saving.saved else {}
    unsure = _unsure(saving, *Action)
    for name, wanted in sorted(saving.wanted.functions.items()):
        there, saved = saving.there.functions.get(name), before.get(name)
        action = Action.CREATE if there is None else Action.CHANGE
        found = drift.of_function(name, saved, there) if saved is not None and name not in unsure else []
        if saved is None:
            reason = "new" if there is None else "MLRun has it, but not from here"
        elif saved.wanted != drift.digest(wanted):
            reason = "changed in Git"
        elif name in unsure:
            reason = _UNFINISHED
        elif found:
            reason = _meddled(found)
        else:
            continue
        yield PlannedWrite(kind=WriteKind.FUNCTION, name=name, action=action, reason=reason, drifted=_named(found))


def _project(saving: Saving) -> Iterator[PlannedWrite]:
    wanted, saved, there = saving.wanted, saving.saved, saving.there.project
    action = Action.CREATE if there is None else Action.CHANGE
    found = drift.project_report(saved, there) if saved is not None and saving.unfinished is None else []
    if saved is None:
        reason = "new" if there is None else "MLRun has it, but not from here"
    elif saved.project.wanted != drift.digest(wanted.project):
        reason = "changed in Git"
    elif saving.unfinished is not None:
        reason = _UNFINISHED
    elif found:
        reason = _meddled(found)
    elif saved.source != wanted.source:
        reason = "its files are those of this commit"
    else:
        return
    name = str(wanted.project["metadata"]["name"])
    yield PlannedWrite(kind=WriteKind.PROJECT, name=name, action=action, reason=reason, drifted=_named(found))


def _schedules(saving: Saving) -> Iterator[PlannedWrite]:
    pruned = {one.name for one in _pruned(saving)}
    for name, request in sorted(saving.wanted.schedules.items()):
        there = saving.there.schedules.get(name)
        if there is not None and not mlrun_scheduled.ours(saving.there.schedules, (name,)):
            raise PlanError(
                f"MLRun has a schedule {name} that runs a job, and keeps one schedule a name: the workflow {name} cannot have its own",
                mend="name the workflow otherwise, or remove the job's schedule in MLRun",
            )
        if there is None:
            yield PlannedWrite(kind=WriteKind.SCHEDULE, name=name, action=Action.CREATE, reason="new")
        elif name in pruned:
            reason = "MLRun removes it with the function of that name"
            yield PlannedWrite(kind=WriteKind.SCHEDULE, name=name, action=Action.CHANGE, reason=reason)
        elif found := mlrun_scheduled.differences(request, there, saving.there):
            reason = f"{', '.join(found)} changed"
            yield PlannedWrite(kind=WriteKind.SCHEDULE, name=name, action=Action.CHANGE, reason=reason)
    gone = "nothing declares it any more"
    if saving.clears_schedules:
        gone = "MLRun's own schedule gives way: schedules are fired by this service (schedules.owner)"
    for name in sorted(_own_schedules(saving) - saving.wanted.schedules.keys()):
        yield PlannedWrite(kind=WriteKind.SCHEDULE, name=name, action=Action.REMOVE, reason=gone)


def _own_schedules(saving: Saving) -> set[str]:
    """Names of schedules that are there and run workflows of this project: as it is, as it was saved last, or of who had its name before."""
    begun = {one.name for one in saving.unfinished or () if one.kind is WriteKind.SCHEDULE}
    ours = {*saving.wanted.workflows, *(saving.saved.workflows if saving.saved else ()), *saving.left, *begun}
    return set(mlrun_scheduled.ours(saving.there.schedules, ours))


def _pruned(saving: Saving) -> Iterator[PlannedWrite]:
    held = _held(saving)
    for name in _gone(saving):
        if saving.prune and name not in held:
            yield PlannedWrite(
                kind=WriteKind.FUNCTION, name=name, action=Action.REMOVE, reason="nothing declares it any more"
            )


def _held(saving: Saving) -> set[str]:
    """Names of schedules that are there and none of ours: a function of such a name is not removed, which would remove the schedule."""
    return saving.there.schedules.keys() - _own_schedules(saving)


def _gone(saving: Saving) -> list[str]:
    """Names of the last save, and those that saves since made and did not end, minus those of this one, that are there."""
    before = (saving.saved.functions.keys() if saving.saved else set()) | _unsure(saving, Action.CREATE)
    return sorted((before - saving.wanted.functions.keys()) & saving.there.functions.keys())


def _unsure(saving: Saving, *actions: Action) -> set[str]:
    """Functions with which saves that did not end were to do that."""
    return {one.name for one in saving.unfinished or () if one.kind is WriteKind.FUNCTION and one.action in actions}


def _named(found: list[Difference]) -> tuple[str, ...]:
    return tuple(f"{one.what} {one.path}".rstrip() for one in found)


def _meddled(found: list[Difference]) -> str:
    paths = [one.path for one in found if one.path]
    if not paths:
        return "it is gone from MLRun"
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return f"changed in MLRun: {', '.join(paths[:_NAMED])}{more}"
