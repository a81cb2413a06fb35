"""Images: built by nobody, with the answers of a server whose builder goes on as a test says (`process.builders`)."""

from __future__ import annotations

from typing import Any

from tests.peers.mlrun_stand_in.program import functions
from tests.peers.mlrun_stand_in.program.state import Call, Raw, Refused, State

# The registry that this server was set up with: MLRUN_HTTPDB__BUILDER__DOCKER_REGISTRY.
REGISTRY = "registry.example.com/mlrun"
_TERMINAL = ("ready", "error")


def build(state: State, call: Call) -> Any:
    function = call.body["function"]
    project, name = function["metadata"]["project"], function["metadata"]["name"]
    state.has_project(project)
    spec = function.get("spec") or {}
    wanted = spec.get("build") or {}
    _checked(wanted)
    nothing = not any(wanted.get(key) for key in ("source", "commands", "requirements", "extra"))
    if nothing and call.body.get("with_mlrun", "no") == "no":
        status: dict[str, Any] = {"state": "ready"}
        spec = {**spec, "image": spec.get("image") or wanted.get("base_image") or ""}
    else:
        if not wanted.get("image"):
            raise _wrong("build spec must have a target image, set build.image = <target image>")
        status = {"state": "deploying", "build_pod": f"mlrun-build-{name}"}
    function = {**function, "spec": spec, "status": {**(function.get("status") or {}), **status}}
    functions.keep(state, project, name, function, function["metadata"].get("tag") or "")
    return {"data": function, "ready": status["state"] == "ready"}


def status(state: State, call: Call) -> Any:
    key = (call.one("project"), call.one("name"), call.one("tag") or "latest")
    if key not in state.functions:
        raise Refused(404, {"name": key[1], "project": key[0], "tag": key[2]})
    function = state.functions[key]
    image = (function["spec"].get("build") or {}).get("image") or function["spec"].get("image") or ""
    pod, said = function["status"].get("build_pod") or "", function["status"].get("state") or ""
    headers = {"function_image": image, "builder_pod": pod}
    if not pod:
        return Raw(b"", {"function_status": said, **headers})
    if said not in _TERMINAL:
        said = function["status"]["state"] = state.builder["state"]
    if said == "ready":
        function["spec"]["image"] = image
    log = b"" if said == "pending" else state.builder["log"].encode()[int(call.one("offset", "0")) :]
    return Raw(log, {"x-mlrun-function-status": said, "function_status": said, **headers})


def _checked(wanted: dict[str, Any]) -> None:
    packages, source = wanted.get("requirements") or [], wanted.get("source") or ""
    if not isinstance(packages, list) or not all(isinstance(one, str) and one.strip() for one in packages):
        raise _wrong("the stand-in takes requirements as a list of lines that say something")
    if source and not wanted.get("load_source_on_run") and "://" not in source and not source.startswith("/"):
        raise _wrong(f"Load of relative source ({source}) is not supported at build time")
    if source.startswith("http://"):
        raise _wrong("the stand-in takes no source that Kaniko cannot read, and that is any over http")


def _wrong(what: str) -> Refused:
    return Refused(400, {"reason": f"runtime error: {what}"})
