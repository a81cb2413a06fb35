"""What a run asks of MLRun, as it is kept in the run's row: with it a service that has just begun knows what another one submitted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from service.domain import mlrun_requests
from service.domain.mlrun_requests import Asked
from service.domain.projects import Json, Workflow
from service.errors import LaunchFailed, PlanError
from service.launchers import Job, JobKind
from service.mlrun_api import Feature, Server

LAUNCHER = "mlrun"


@dataclass(frozen=True, slots=True)
class Order:
    """`request` is MLRun's WorkflowRequest; `source` in it is this run's alone. `timeout_s` counts from when it was submitted."""

    project: str
    workflow: str
    request: Json
    timeout_s: float

    @property
    def source(self) -> str:
        return str(self.request["source"])

    def document(self) -> Json:
        return asdict(self)


def order_of(job: Job) -> Order:
    """Raises LaunchFailed for what MLRun's runner cannot do."""
    if job.kind is not JobKind.RUN:
        raise _never(f"job {job.id} loads a project, which MLRun's runner does not do", "set launcher.loads")
    payload = job.payload
    spec: Json = payload["workflow"]
    engine = str(payload["engine"])
    asked = Asked(
        workflow=Workflow(name=spec["name"], engine=engine, args=spec.get("args") or {}, spec=spec),
        source=str(payload["source_url"]),
        image=job.image,
        node_selector=job.runner.node_selector,
        arguments=payload["arguments"],
        notifications=mlrun_requests.notifications_of((payload.get("resolved") or {}).get("project") or {}),
    )
    try:
        request = mlrun_requests.request(asked)
    except PlanError as error:
        raise _never(error.what, error.mend) from error
    return Order(job.project, spec["name"], request, job.timeout_s)


def read(document: Any) -> Order:
    return Order(**document)


def address(order: Order, server: Server, job: str) -> str:
    """The workflow's name in the address that it is submitted to. Raises LaunchFailed for what this server would pass over in silence."""
    spec = order.request["spec"]
    if spec.get("workflow_runner_node_selector") and not server.has(Feature.NODE_SELECTOR_OF_RUNNERS):
        raise _never(
            f"MLRun {server.version} takes no node selector for workflow runners", "remove it, or upgrade MLRun to 1.8"
        )
    if spec["engine"] != "local" and not server.has(Feature.RUNNERS_WAIT):
        raise _never(
            f"the runner of MLRun {server.version} does not wait for a workflow of Kubeflow, so nobody learns how it ends",
            "write engine: local for the workflow in project.yaml, upgrade MLRun to 1.9, or use another launcher",
        )
    if mlrun_requests.is_inside_image(order.source) and not server.has(Feature.FILES_OF_THE_IMAGE):
        raise _never(
            f"MLRun {server.version} runs no workflow from files of the image (runner.target_dir)",
            "remove it from .gitops.yaml, or upgrade MLRun to 1.6.2",
        )
    # Under a name that the project does not have, the request alone decides; an older server takes the project's schedule else.
    return order.workflow if server.has(Feature.SCHEDULE_OF_THE_REQUEST) else f"gitops-{job}"


def _never(what: str, mend: str) -> LaunchFailed:
    failure = LaunchFailed(what, mend=mend)
    failure.retry = False
    return failure
