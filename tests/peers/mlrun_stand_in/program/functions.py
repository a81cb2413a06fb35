"""Functions: stored under a tag, listed in pages, deleted with their schedule."""

from __future__ import annotations

import warnings
from typing import Any

import mlrun
import mlrun.utils

from tests.peers.mlrun_stand_in.program import schedules
from tests.peers.mlrun_stand_in.program.state import Call, Raw, Refused, State, copied, not_found, now, page

_LATEST = "latest"


def store(state: State, call: Call) -> Any:
    state.has_project(call.project)
    return {"hash_key": keep(state, call.project, call.path["name"], call.body, call.one("tag"))}


def keep(state: State, project: str, name: str, document: dict[str, Any], tag: str) -> str:
    """As `store_function` of the server does; the hash."""
    body_name = (document.get("metadata") or {}).get("name")
    if body_name and body_name != name:
        raise Refused(400, f"MLRunInvalidArgumentError('Conflict between requested name {name} and {body_name}')")
    if name != _normalized(name):
        raise Refused(400, f"the stand-in takes names as MLRun's client normalizes them, and {name} is none")
    tag = tag or (document.get("metadata") or {}).get("tag") or _LATEST
    function = mlrun.new_function(name=name, project=project, runtime=document, tag=tag).to_dict()
    hash_key: str = mlrun.utils.fill_function_hash(function, tag)
    function["metadata"].update(tag="", updated=now())
    state.functions[project, name, tag] = copied(function)
    return hash_key


def read(state: State, call: Call) -> Any:
    name, tag = call.path["name"], call.one("tag") or _LATEST
    if (call.project, name, tag) not in state.functions:
        raise not_found(f"Function tag not found {call.project}/{name}:{tag}")
    return {"func": _shown(state, (call.project, name, tag))}


def listed(state: State, call: Call) -> Any:
    name, tag, kind = call.one("name"), call.one("tag"), call.one("kind")
    found = [
        _shown(state, key)
        for key, function in state.functions.items()
        if key[0] == call.project
        and (not name or _normalized(name) == key[1])
        and (tag in ("", "*") or tag == key[2])
        and (not kind or kind == function["kind"])
    ]
    return page(state, call, found, "funcs")


def delete(state: State, call: Call) -> Any:
    _forget(state, call)
    return state.task(call.project, f"function.deletion.{call.path['name']}")


def delete_at_once(state: State, call: Call) -> Any:
    _forget(state, call)
    return Raw(b"")


def _normalized(name: str) -> str:
    """1.9 also warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(mlrun.utils.normalize_name(name))


def _forget(state: State, call: Call) -> None:
    name = call.path["name"]
    schedules.delete(state, call)
    for key in [key for key in state.functions if key[:2] == (call.project, name)]:
        del state.functions[key]


def _shown(state: State, key: tuple[str, str, str]) -> dict[str, Any]:
    function = copied(state.functions[key])
    function["metadata"]["tag"] = key[2]
    if key[2] != _LATEST:
        function["status"] = None
    return dict(function)
