"""The schedules that MLRun is to keep, as what is submitted for each, held against those that it has.

MLRun freezes in a schedule what its workflow was when it was submitted: source, path, handler, arguments, image. So a schedule whose time did
not change is submitted again as soon as any of these did, which each commit does where the source is an archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from service.domain import image_choice, mlrun_requests, mlrun_schedules, schedules
from service.domain.drift import There
from service.domain.identity import normal
from service.domain.images import Images
from service.domain.mlrun_requests import RUNNER_LABEL, Asked
from service.domain.projects import Declaration, Json, Resolved

_CRON = ("minute", "hour", "day", "month", "day_of_week")
# Of the spec in a request, and under which of the run's parameters MLRun keeps it.
_KEPT = {"path": "workflow_path", "handler": "workflow_handler", "engine": "engine", "args": "workflow_arguments"}
_TOLD = ("kind", "name", "message", "severity", "when", "condition", "params")
_WORDS = {"args": "arguments"}


def requests(declaration: Declaration, resolved: Resolved, images: Images, source: str) -> dict[str, Json]:
    """By the workflow's name. Raises PlanError for what MLRun cannot keep."""
    mlrun_requests.check_names(resolved.workflows)
    wanted = mlrun_schedules.kept(declaration, schedules.wanted(declaration, resolved))
    found = {}
    for name, spec in wanted.items():
        workflow = resolved.workflows[spec.workflow]
        image = images.runner(image_choice.asked(declaration, resolved, workflow.name), workflow.name).image
        found[name] = mlrun_requests.request(
            Asked(
                workflow=workflow,
                source=source,
                image=image,
                node_selector=mlrun_requests.node_selector(declaration, workflow),
                arguments=spec.arguments,
                schedule=mlrun_schedules.written(spec.cron),
                notifications=mlrun_requests.notifications_of(resolved.project),
            )
        )
    return found


def ours(there: Mapping[str, Json], workflows: Iterable[str]) -> list[str]:
    """Names of MLRun's schedules that run one of these workflows as such; others may have the same names and run anything."""
    return sorted(name for name in workflows if name in there and _runs_a_workflow(there[name]))


def _runs_a_workflow(schedule: Json) -> bool:
    key, _, value = RUNNER_LABEL.partition("=")
    labels = _below(schedule, "scheduled_object", "task", "metadata", "labels") or _below(schedule, "labels")
    return labels.get(key) == value


def differences(request: Json, there: Json, mlrun: There) -> list[str]:
    """In what MLRun's schedule is not as it was asked for, in words; the runners of schedules are among MLRun's functions."""
    return list(_differences(request, there, mlrun))


def _differences(request: Json, there: Json, mlrun: There) -> Iterator[str]:
    spec, parameters = request["spec"], _below(there, "scheduled_object", "task", "spec", "parameters")
    if spec["schedule"].split() != [str(_below(there, "cron_trigger").get(field)) for field in _CRON]:
        yield "its time"
    if parameters.get("url") != request["source"]:
        yield "its source"
    for key, kept in _KEPT.items():
        if key in spec and (parameters.get(kept) or None) != (spec[key] or None):
            yield f"its {_WORDS.get(key, key)}"
    if mlrun.notifies and _told(request.get("notifications")) != _told(
        _below(there, "scheduled_object", "task", "spec").get("notifications")
    ):
        yield "its notifications"
    runner = _below(mlrun.functions.get(normal(request["run_name"]), {}), "spec")
    if runner.get("image") != spec["image"]:
        yield "its image"
    if any((runner.get("node_selector") or {}).get(key) != value for key, value in _selector(spec).items()):
        yield "its node selector"


def _told(notifications: Any) -> list[Json]:
    """What of them can be compared: MLRun puts what is secret in them away, and notes beside them what became of each."""
    listed = notifications if isinstance(notifications, list) else []
    return [{key: one.get(key) or None for key in _TOLD} for one in listed if isinstance(one, dict)]


def _selector(spec: Json) -> dict[str, str]:
    return spec.get("workflow_runner_node_selector") or {}


def _below(document: Any, *keys: str) -> Json:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}
