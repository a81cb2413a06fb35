"""What MLRun's runner started in Kubeflow, by what MLRun's database says of it: its steps, and its end."""

from __future__ import annotations

import structlog

from service.domain import mlrun_runs
from service.domain.projects import Json
from service.errors import MlrunAway, MlrunError
from service.launchers.mlrun.order import Order
from service.mlrun_api import Feature, MlrunApi

log = structlog.get_logger(__name__)


def steps(api: MlrunApi, order: Order, run: Json) -> list[Json]:
    """Also those of a workflow that ran in the runner itself; none before it has said what it started."""
    workflow = mlrun_runs.workflow_id(run)
    return api.runs(order.project, labels=[f"workflow={workflow}"]) if workflow else []


def end(api: MlrunApi, order: Order, run: Json) -> None:
    """Of a runner that was aborted, which leaves its workflow in Kubeflow to itself. May be done again. Raises MlrunAway."""
    workflow = mlrun_runs.workflow_id(run)
    if not workflow or order.request["spec"]["engine"] == "local":
        return
    try:
        if api.server().has(Feature.TERMINATE_PIPELINES):
            api.terminate(order.project, workflow)
            return
        for step in steps(api, order, run):
            if mlrun_runs.stage(step) not in mlrun_runs.ENDED:
                api.abort(order.project, mlrun_runs.uid_of(step))
    except MlrunAway:
        raise
    except MlrunError as error:  # it has ended by itself, say
        log.warning("a workflow in Kubeflow was not ended", project=order.project, workflow=workflow, error=str(error))
