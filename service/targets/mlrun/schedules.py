"""What is done about MLRun's own schedules: one function for each action."""

from __future__ import annotations

from collections.abc import Mapping

from service import limits
from service.domain.planned import Action, PlannedWrite
from service.domain.projects import Json
from service.errors import MlrunRefused
from service.mlrun_api import Feature, MlrunApi, Server

_SCHEDULED = "scheduled"


def write(api: MlrunApi, server: Server, project: str, planned: PlannedWrite, requests: Mapping[str, Json]) -> None:
    """Carry out one planned write; `requests` are what is submitted for each schedule."""
    if planned.action is Action.REMOVE:
        remove(api, project, planned.name)
    else:
        put(api, server, project, planned.name, requests[planned.name])


def put(api: MlrunApi, server: Server, project: str, name: str, request: Json) -> None:
    """MLRun fires it as `request` says, in place of what it has under that name. It may be done again, so it is given up in time."""
    if request["spec"].get("workflow_runner_node_selector") and not server.has(Feature.NODE_SELECTOR_OF_RUNNERS):
        what = f"MLRun {server.version} takes no node selector for workflow runners, which the schedule {name} of {project} has"
        raise MlrunRefused(what, mend="remove it, or upgrade MLRun to 1.8")
    answer = api.submit(project, name, request, within_s=limits.OUTSIDE_WRITE_TIMEOUT_S)
    if answer.get("status") != _SCHEDULED:
        what = f"MLRun answered {answer.get('status')!r} when it was to schedule the workflow {name} of {project}"
        raise MlrunRefused(what, mend="look whether it runs there now")


def remove(api: MlrunApi, project: str, name: str) -> None:
    """MLRun fires it no more. One that is gone already is no trouble."""
    api.delete_schedule(project, name)
