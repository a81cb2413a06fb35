"""Whether the workflows would start, found out without running any of them.

A `kfp` workflow is compiled, for which Kubeflow calls it with placeholders: its steps become nodes, nothing runs. A
`local` one would do its work when called, so that it is only imported and its arguments bound. A workflow that runs in
another image than the load does may need what is not here, so that only its run can tell.
"""

from __future__ import annotations

import copy
import inspect
import os
import tempfile
from typing import Any

from .database import RunnerDB
from .errors import CheckFailedError, ProjectError
from .job import Job
from .plain import Json
from .resolved import build, make_current

COMPILED = "compiled"
BOUND = "bound"
RUN = "run"


def check(job: Job, result: Json, database: RunnerDB) -> dict[str, str]:
    """How each workflow was checked. Raises what its code raises, with a note which workflow it was."""
    checks = {}
    database.project = lambda asked: build(result) if asked == result["name"] else None
    for workflow in result["workflows"]:
        name, spec = workflow["name"], workflow["spec"]
        wanted = job.check is None or name in job.check
        elsewhere = job.image is not None and workflow["image"] not in (None, "", job.image)
        if not wanted or elsewhere or (not spec.get("code") and "://" in spec["path"]):
            checks[name] = RUN
            continue
        project = build(result)
        make_current(project)
        try:
            checks[name] = _check(project, workflow)
        except BaseException as exc:
            raise CheckFailedError(name) from exc
    return checks


def _check(project: Any, workflow: Json) -> str:
    from mlrun.projects import pipelines

    spec = project.spec._workflows[workflow["name"]].copy()
    spec.engine = workflow["engine"]  # with any other, calling the workflow would run its steps
    pipelines.pipeline_context.set(project, spec)
    try:
        handler = pipelines.create_pipeline(
            project,
            spec.get_source_file(project.spec.get_code_path()),
            pipelines.FunctionsDict(project),
            handler=spec.handler,
        )
        _bind(handler, spec)
        if workflow["engine"] == "local":
            return BOUND
        _compile(handler, spec, project)
        return COMPILED
    finally:
        spec.clear_tmp()
        pipelines.pipeline_context.clear()


def _bind(handler: Any, spec: Any) -> None:
    """The workflow's arguments must be ones that it takes; those still missing may come with the run."""
    arguments = copy.copy(spec.args or {})
    for parameter in spec.args_schema or []:
        arguments.setdefault(parameter["name"], parameter.get("default"))
    try:
        inspect.signature(handler).bind_partial(**arguments)
    except TypeError as exc:
        raise ProjectError(
            f"workflow {spec.name}: {exc}", "Its args and args_schema must be parameters of its function"
        ) from exc


def _compile(handler: Any, spec: Any, project: Any) -> None:
    import mlrun_pipelines.utils

    with tempfile.TemporaryDirectory() as folder:
        mlrun_pipelines.utils.compile_pipeline(
            artifact_path=project.spec.artifact_path or "",
            cleanup_ttl=spec.cleanup_ttl,
            ops=None,
            pipeline=handler,
            pipe_file=os.path.join(folder, "workflow.yaml"),
            type_check=True,
        )
