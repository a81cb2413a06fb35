"""`run`: one workflow of the resolved project, its steps in this process.

The configuration is the job's, the files are the source's. MLRun's local engine runs workflows of both engines: one
written for Kubeflow calls its steps in order and hands results and artifacts on, which is what it would mean there.
"""

from __future__ import annotations

import os
from typing import Any

from .database import RunnerDB
from .errors import ProjectError, WorkflowFailedError
from .job import Job
from .resolved import build, make_current
from .watcher import Watcher

ARTIFACTS = "artifacts"


def run(job: Job, database: RunnerDB, watcher: Watcher) -> None:
    """Run the job's workflow. Raises what the workflow raised, and WorkflowFailedError."""
    project = build(job.resolved)
    project.spec.set_workflow(job.workflow["name"], job.workflow)
    database.name = project.metadata.name
    database.project = lambda name: build(job.resolved) if name == project.metadata.name else None
    make_current(project)
    status = project.run(
        job.workflow["name"],
        arguments=job.arguments,
        artifact_path=_artifact_path(job, project),
        engine="local",
        local=True,
        dirty=True,
    )
    _verdict(job, status, watcher)


def _artifact_path(job: Job, project: Any) -> str:
    """Where artifacts go: where the project says, if that outlives the job's copy of the source."""
    import mlrun

    path = project.spec.artifact_path or mlrun.mlconf.artifact_path or ""
    if "://" in path or os.path.isabs(path):
        return path
    return os.path.join(job.folder, ARTIFACTS)


def _verdict(job: Job, status: Any, watcher: Watcher) -> None:
    """Raise what MLRun only notes: it never raises for a workflow that failed, and its command exits with 0."""
    if status is None:
        raise ProjectError("MLRun did not run the workflow and gave no reason")
    state = getattr(status.state, "value", status.state)
    if state == "Succeeded":
        if watcher.failed and job.engine == "kfp":
            raise WorkflowFailedError(watcher.failed[0])
        for failed in watcher.failed:
            watcher.warn(f"step {failed['step']} failed, and the workflow went on: {failed['message']}")
        return
    if watcher.failed and (status.exc is None or type(status.exc).__name__ == "RunError"):
        raise WorkflowFailedError(watcher.failed[-1])
    if status.exc is not None:
        raise status.exc
    raise ProjectError(f"MLRun ended the workflow in the state {state} and gave no reason")
