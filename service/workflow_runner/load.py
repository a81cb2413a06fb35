"""`load`: project.yaml and project_setup.py become plain data that can be saved without anybody's code.

MLRun itself loads the project, from a directory, without saving. Around it: the file is checked first, whatever the
setup code writes to the database is captured, a project.yaml that `project.save()` rewrote is put back, and the
result's source is the job's, never what a remote of a clone says.
"""

from __future__ import annotations

import glob
import json
import os
import re
from typing import Any, Optional

from . import project_file
from .check import check
from .claim import sync_directory
from .database import RunnerDB
from .errors import ProjectError
from .job import PROJECT_NAME, Job
from .plain import Json, plain
from .watcher import Watcher

RESULT = "result.json"

# The service reads at most so much (`LOAD_RESULT_BYTES`).
RESULT_BYTES = 16 * 1024 * 1024


def load(job: Job, database: RunnerDB, watcher: Watcher) -> None:
    """Write `result.json`. Raises what the project's code raises, and ProjectError."""
    found = project_file.find(job.directory)
    document: Json = {}
    warnings: list[str] = []
    if found:
        document, warnings = project_file.check(os.path.join(job.directory, found), job.source)
    if os.path.isfile(project_file.SETUP):
        warnings += project_file.setup_warnings(project_file.SETUP)
    name = _name(job, document, found)
    database.name = name
    project = _load(job, name)
    _settle(job, project, name)
    database.name = project.metadata.name
    result = _anywhere(_resolve(project, database), job)
    warnings += [
        f"{call}: captured, not sent: only the project, its functions and workflows are saved from here"
        for call in sorted(set(database.captured))
    ]
    result["checks"] = check(job, result, database)
    result["warnings"] = warnings
    result["asked"] = sorted(database.answered)
    for text in warnings:
        watcher.warn(text)
    _write(job.folder, result)


def _name(job: Job, document: Json, found: Optional[str]) -> str:
    """What the project is called: project.yaml's name, else what the repository declares, else the repository's."""
    written = (document.get("metadata") or {}).get("name")
    if written and job.project.name and written != job.project.name:
        raise ProjectError(
            f"{found} calls the project {written!r}, .gitops.yaml calls it {job.project.name!r}",
            "Remove the name from one of them",
        )
    if written:
        return str(written)
    if job.project.name:
        return job.project.name
    name = re.sub(r"[^a-z0-9]+", "-", job.project.repository_name.lower()).strip("-")[:63].strip("-")
    if not PROJECT_NAME.match(name):
        raise ProjectError("the project has no name", "Set metadata.name in project.yaml")
    return name


def _load(job: Job, name: str) -> Any:
    import mlrun

    before = _project_files()
    try:
        return mlrun.load_project(
            context="./", name=name, save=False, parameters=job.setup_parameters, allow_cross_project=False
        )
    finally:
        _restore(before)


def _project_files() -> dict[str, bytes]:
    files = {}
    for path in glob.glob(project_file.PATTERN):
        with open(path, "rb") as file:
            files[path] = file.read()
    return files


def _restore(before: dict[str, bytes]) -> None:
    """Undo `project.save()` and `project.export()` of the setup code: what is in Git is what counts."""
    for path in glob.glob(project_file.PATTERN):
        if path not in before:
            os.unlink(path)
    for path, content in before.items():
        with open(path, "wb") as file:
            file.write(content)


def _settle(job: Job, project: Any, name: str) -> None:
    """Name, source and owner as they may be saved."""
    if job.project.name and project.metadata.name != job.project.name:
        raise ProjectError(
            f"project_setup.py calls the project {project.metadata.name!r}, .gitops.yaml calls it {job.project.name!r}"
        )
    project.metadata.name = project.metadata.name or name
    project.spec.repo = None
    project.spec.source = project.spec.origin_url = job.project.source
    project.spec.owner = None


def _resolve(project: Any, database: RunnerDB) -> Json:
    functions = dict(_function(project, key, database) for key in list(project.spec._function_definitions))
    workflows = [_workflow(project, spec) for spec in project.spec.workflows]
    struct = plain(project.to_dict(), "project")
    struct.pop("status", None)
    return {
        "name": project.metadata.name,
        "project": struct,
        "functions": functions,
        "workflows": workflows,
    }


def _anywhere(value: Any, job: Job) -> Any:
    """`value` without any path of this checkout: the same commit is the same project wherever it was checked out."""
    if isinstance(value, str) and value.startswith(os.path.join(job.source, "")):
        return os.path.relpath(value, job.directory)
    if isinstance(value, dict):
        return {key: _anywhere(item, job) for key, item in value.items()}
    return [_anywhere(item, job) for item in value] if isinstance(value, list) else value


def _function(project: Any, key: str, database: RunnerDB) -> tuple[str, Json]:
    """Name and function as MLRun's sync would save it; one that the setup code made keeps what was set on it since."""
    import mlrun.errors
    import mlrun.utils

    objects = project.spec._function_objects
    try:
        if key not in objects:
            project.sync_functions(names=[key])
    except (mlrun.errors.MLRunMissingDependencyError, FileNotFoundError) as exc:
        missing = exc if isinstance(exc, FileNotFoundError) else exc.__cause__
        raise ProjectError(
            "function {}: there is no file {!r}".format(key, getattr(missing, "filename", None) or str(exc)),
            "Commit the file or mend the function's url",
        ) from exc
    key = key if key in objects else mlrun.utils.normalize_name(key)
    function = objects[key]
    if function.spec.command and function.spec.build.source in (".", "./"):
        path = os.path.join(project.spec.get_code_path(), function.spec.command)
        if "://" not in path and not os.path.isfile(path):
            raise ProjectError(
                f"function {key}: there is no file {os.path.normpath(path)!r}",
                "Commit the file or mend the function's url",
            )
    function.spec.build.code_origin = None
    function.metadata.project = project.metadata.name
    function.save(versioned=False)
    tag = function.metadata.tag or "latest"
    struct = database.memory.functions[project.metadata.name, function.metadata.name, tag]
    return key, plain(struct, f"function {key}")


def _workflow(project: Any, spec: Json) -> Json:
    name = spec["name"]
    schedule = spec.get("schedule")
    if schedule is not None and not isinstance(schedule, str):
        raise ProjectError(
            f"workflow {name}: schedule is a {type(schedule).__name__}",
            "Write a crontab text of five fields, such as '0 2 * * 1-5'",
        )
    if schedule is not None and len(schedule.split()) != 5:
        raise ProjectError(f"workflow {name}: schedule {schedule!r} has {len(schedule.split())} fields instead of five")
    path = spec.get("path") or ""
    if not spec.get("code") and "://" not in path:
        file = project.spec._workflows[name].get_source_file(project.spec.get_code_path())
        if not os.path.isfile(file):
            raise ProjectError(
                f"workflow {name}: there is no file {path!r}", "Commit the file or mend the workflow's path"
            )
    spec = plain(spec, f"workflow {name}")
    return {
        "name": name,
        "engine": _engine(name, spec.get("engine")),
        "schedule": schedule,
        "args": spec.get("args") or {},
        "image": spec.get("image"),
        "spec": spec,
    }


def _engine(name: str, engine: Optional[str]) -> str:
    """The engine that runs the steps; `remote` is what this service is."""
    inner = (engine or "kfp").partition(":")[2] if (engine or "").startswith("remote:") else engine or "kfp"
    if inner == "remote":
        inner = "kfp"
    if inner not in ("kfp", "local"):
        raise ProjectError(f"workflow {name}: there is no engine {engine!r}", "Use kfp or local")
    return inner


def _write(folder: str, result: Json) -> None:
    data = json.dumps(result, allow_nan=False, sort_keys=True).encode("ascii")
    if len(data) > RESULT_BYTES:
        raise ProjectError(
            f"the resolved project takes {len(data)} bytes, {RESULT_BYTES} at most",
            "Function code is embedded in it; use with_repo for large files",
        )
    path = os.path.join(folder, RESULT)
    with open(path + ".new", "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)
    sync_directory(folder)
