"""Workflows: a request becomes a runner function and a schedule or a run, as the server makes them."""

from __future__ import annotations

import os
import uuid
from typing import Any

import mlrun
import mlrun.common.schemas
from mlrun.k8s_utils import sanitize_label_value

from tests.peers.mlrun_stand_in.program import functions, runs, schedules
from tests.peers.mlrun_stand_in.program.server import CLIENT_PYTHON, CLIENT_VERSION
from tests.peers.mlrun_stand_in.program.state import Call, Refused, State, copied, not_found

_HANDLER = "mlrun.projects.load_and_run"


def submit(state: State, call: Call) -> Any:
    if call.project not in state.projects:
        raise not_found(f"Project not found: name={call.project}")
    project, request = state.projects[call.project], call.body
    spec = _completed(project, call.path["name"], request)
    name = request.run_name or f"workflow-runner-{spec.name}"
    labels = _labels(call, spec.name)
    image = spec.image or mlrun.mlconf.kfp_image
    runner = mlrun.new_function(name=name, project=call.project, kind="job", image=image)
    runner.metadata.labels = dict(labels)
    runner.spec.node_selector = dict(getattr(spec, "workflow_runner_node_selector", None) or {})
    functions.keep(state, call.project, runner.metadata.name, copied(runner.to_dict()), "")
    try:
        task = _task(project, request, spec, name)
        if spec.schedule:
            cron = spec.schedule if isinstance(spec.schedule, str) else spec.schedule.dict()
            schedules.keep(state, call.project, spec.name, spec.schedule, {"task": task, "schedule": cron}, labels)
            status, uid = "scheduled", None
        else:
            status, uid = "running", runs.begin(state, call.project, task)["metadata"]["uid"]
    except (ValueError, mlrun.errors.MLRunBaseError) as error:
        action = "schedule" if spec.schedule else "run"
        said = mlrun.errors.err_to_str(error)
        what = {"reason": "Workflow failed", "workflow_name": spec.name, "workflow_action": action, "error": said}
        raise Refused(400, what) from error
    return {"project": call.project, "name": spec.name, "status": status, "run_id": uid, "schedule": spec.schedule}


def workflow_id(state: State, call: Call) -> Any:
    key = (call.project, call.path["uid"], 0)
    if key not in state.runs:
        raise not_found(f"Run uid {key[1]} of project {key[0]} not found")
    run = runs.seen(state.runs[key])
    status, labels = run["status"], run["metadata"].get("labels") or {}
    found = (status.get("results") or {}).get("workflow_id")
    if found is None and labels.get("job-type") == "workflow-runner" and status["state"] in ("error", "aborted"):
        said = f"Failed to run workflow, state: {status['state']}, state_text: {status.get('error')}"
        raise Refused(412, f"MLRunPreconditionFailedError('{said}')")
    if found is None and call.one("engine", "kfp") == "local" and status["state"] == "running":
        found = run["metadata"]["uid"]
    if found is None:
        raise not_found(f"Workflow ID of run {call.project}:{key[1]} not found")
    return {"workflow_id": found}


def terminate(state: State, call: Call) -> Any:
    """Its steps that have not ended are aborted; who started it hears of it as of any other end."""
    pipeline, there = call.path["pipeline"], [run for key, run in state.runs.items() if key[0] == call.project]
    if not any((run["status"].get("results") or {}).get("workflow_id") == pipeline for run in there):
        raise not_found(f"Pipeline {pipeline} of project {call.project} not found")
    for run in there:
        if (run["metadata"].get("labels") or {}).get("workflow") == pipeline:
            runs.end(run)
    return state.task(call.project, "pipeline.terminate")


def _completed(project: dict[str, Any], name: str, request: Any) -> Any:
    """The spec of the request over the one that the project has; a schedule is the request's alone where it has a spec."""
    workflow = next((dict(one) for one in project["spec"]["workflows"] or [] if one.get("name") == name), {})
    if request.spec is not None:
        if request.spec.schedule is None:
            workflow.pop("schedule", None)
        workflow = _merged(workflow, request.spec.dict())
    if "name" not in workflow:
        raise Refused(400, {"reason": f"Workflow {name} not found in project"})
    spec = mlrun.common.schemas.WorkflowSpec(**workflow)
    if request.arguments:
        spec.args = {**(spec.args or {}), **request.arguments}
    return spec


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    for key, value in above.items():
        if isinstance(value, dict):
            below[key] = _merged(dict(below.get(key) or {}), value)
        elif value:
            below[key] = value
    return below


def _labels(call: Call, workflow: str) -> dict[str, str]:
    return {
        "job-type": "workflow-runner",
        "workflow": sanitize_label_value(workflow),
        "mlrun/client_version": sanitize_label_value(call.headers[CLIENT_VERSION]),
        "mlrun/client_python_version": sanitize_label_value(call.headers[CLIENT_PYTHON]),
    }


def _task(project: dict[str, Any], request: Any, spec: Any, name: str) -> dict[str, Any]:
    source, on_image = _source(project, request.source)
    # The label of a run names its runner, that of a schedule's task the workflow (server: crud/workflows.py run, schedule).
    named = spec.name if spec.schedule else name
    labels = {"job-type": "workflow-runner", "workflow": named, "kind": "job"}
    if not spec.schedule:
        labels["mlrun/project"] = project["metadata"]["name"]
    # A schedule takes its source from the project, whatever its request says (server: crud/workflows.py schedule).
    url = project["spec"]["source"] if spec.schedule and project["spec"]["source"] else source
    parameters = {
        "url": None if on_image else url,
        "project_context": source if on_image else None,
        "project_name": project["metadata"]["name"],
        "save": not request.source,
        "dirty": not request.source,
        "wait_for_completion": True,
        "workflow_name": spec.name,
        "workflow_path": spec.path,
        "workflow_arguments": spec.args,
        "artifact_path": request.artifact_path,
        "workflow_handler": spec.handler,
        "namespace": request.namespace,
        "cleanup_ttl": spec.ttl,
        "engine": spec.engine,
        "local": spec.run_local,
        "subpath": project["spec"].get("subpath"),
    }
    return dict(
        copied(
            {
                "metadata": {
                    "name": named,
                    "project": project["metadata"]["name"],
                    "uid": uuid.uuid4().hex,
                    "labels": labels,
                },
                "spec": {
                    "handler": _HANDLER,
                    "parameters": {key: value for key, value in parameters.items() if value is not None},
                    "notifications": [_concealed(one.dict()) for one in request.notifications or []],
                    "function": f"{project['metadata']['name']}/{name}@",
                },
            }
        )
    )


def _concealed(notification: dict[str, Any]) -> dict[str, Any]:
    """What is secret in it goes to a secret of the project (server: utils/notifications mask_notification_params)."""
    mlrun.model.Notification.from_dict(notification).validate_notification()
    if notification.get("secret_params"):
        notification["secret_params"] = {"secret": f"mlrun.notifications.{uuid.uuid4().hex}"}
    return notification


def _source(project: dict[str, Any], asked: Any) -> tuple[str, bool]:
    """The source, and whether it is a path on the image."""
    source = asked or project["spec"]["source"]
    if not source:
        raise mlrun.errors.MLRunInvalidArgumentError(
            "Project source is required. Either specify the source in the project or provide it in the request."
        )
    if source.startswith("/"):
        return source, True
    if source.startswith("./") or source == ".":
        # Where the project says where its code is on images (server: crud/workflows.py _validate_source).
        folder = (project["spec"].get("build") or {}).get("source_code_target_dir")
        return os.path.normpath(os.path.join(folder, source)) if folder else source, True  # noqa: PTH118 - as the server
    if "://" not in source:
        raise mlrun.errors.MLRunInvalidArgumentError(
            f"Invalid source '{source}' for remote workflow. Expected to be a remote URL or a path to the project context."
        )
    return source, False
