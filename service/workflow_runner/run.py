"""`run`: one workflow of the resolved project, its steps in this process.

The configuration is the job's, the files are the source's. MLRun's local engine runs workflows of both engines: one
written for Kubeflow calls its steps in order and hands results and artifacts on, which is what it would mean there.
"""

import os

from .errors import ProjectError
from .resolved import build, make_current

ARTIFACTS = "artifacts"


class WorkflowFailed(Exception):
    """MLRun said that the workflow failed; `error` is the description of what failed."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.error = error


def run(job, database, watcher):
    """The results by step. Raises what the workflow raised, and WorkflowFailed."""
    project = build(job.resolved)
    project.spec.set_workflow(job.workflow["name"], job.workflow)
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
    return watcher.results


def _artifact_path(job, project):
    """Where artifacts go: where the project says, if that outlives the job's copy of the source."""
    import mlrun

    path = project.spec.artifact_path or mlrun.mlconf.artifact_path or ""
    if "://" in path or os.path.isabs(path):
        return path
    return os.path.join(job.folder, ARTIFACTS)


def _verdict(job, status, watcher):
    """Raise what MLRun only notes: it never raises for a workflow that failed, and its command exits with 0."""
    if status is None:
        raise ProjectError("MLRun did not run the workflow and gave no reason")
    state = getattr(status.state, "value", status.state)
    if state != "Succeeded":
        of_step = type(status.exc).__name__ == "RunError" and watcher.failed
        if status.exc is None or of_step:
            failed = watcher.failed[-1] if watcher.failed else None
            message = "the workflow ended in the state {}".format(state)
            raise WorkflowFailed(failed or {"type": "WorkflowFailed", "message": message, "traceback": message})
        raise status.exc
    if watcher.failed:
        if job.engine == "kfp":
            raise WorkflowFailed(watcher.failed[0])
        for failed in watcher.failed:
            watcher.warn("step {} failed, and the workflow went on: {}".format(failed["step"], failed["message"]))
