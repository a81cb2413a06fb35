"""What is done about MLRun's own schedules: one function for each action."""

from __future__ import annotations

from service.domain.planned import Action, PlannedWrite
from service.mlrun_api import MlrunApi


def write(api: MlrunApi, project: str, planned: PlannedWrite) -> None:
    """Carry out one planned write."""
    _ACTIONS[planned.action](api, project, planned.name)


def remove(api: MlrunApi, project: str, name: str) -> None:
    """MLRun fires it no more. One that is gone already is no trouble."""
    api.delete_schedule(project, name)


_ACTIONS = {Action.REMOVE: remove}
