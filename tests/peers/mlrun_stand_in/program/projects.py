"""Projects: stored whole, created once."""

from __future__ import annotations

from typing import Any

import mlrun.projects

from tests.peers.mlrun_stand_in.program.state import Call, Refused, State, not_found, now


def create(state: State, call: Call) -> Any:
    name = call.body.metadata.name
    if name in state.projects:
        raise Refused(409, f"MLRunConflictError('Project {name} already exists')")
    return _put(state, name, call.body)


def store(state: State, call: Call) -> Any:
    if call.body.metadata.name != call.project:
        raise Refused(409, "MLRunConflictError('Conflict between name in body and name in path')")
    return _put(state, call.project, call.body)


def read(state: State, call: Call) -> Any:
    if call.project not in state.projects:
        raise not_found(f"Project not found: name={call.project}")
    return state.projects[call.project]


def names(state: State, _: Call) -> Any:
    return {"projects": list(state.projects)}


def _put(state: State, name: str, project: Any) -> Any:
    mlrun.projects.ProjectMetadata.validate_project_name(name)
    document = project.dict()
    before = state.projects.get(name)
    document["metadata"]["created"] = before["metadata"]["created"] if before else now()
    document["status"]["state"] = document["spec"]["desired_state"]
    state.projects[name] = document
    return document
