"""What is written into MLRun for a revision: the documents that MLRun's own client would send for the same files.

They are made from a resolved project, which is plain data, so a revision can be saved again without anybody's code. Three things
differ from what a client would send from a clone, each on purpose:

- The source is ours: where MLRun gets this very commit, or the branch; never what a remote of a clone says.
- Every image of MLRun's has registry and tag, so that no client and no server completes it by its own version and Python.
- The owner is nobody's here; whoever the server knows as owner stays that (the target reads it before it writes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from service.domain.identity import normal
from service.domain.images import Asked, Images
from service.domain.projects import USERS_WORDS, Json, Resolved

# Kinds whose image is MLRun's own where nobody names one.
_JOBS = frozenset({"", "job"})
_IMAGE_KEYS = frozenset({"image", "base_image", "baseImage", "default_image"})
# Where the keys are not MLRun's.
_NOT_OURS = USERS_WORDS | {"env", "artifacts", "notifications"}
# What MLRun takes a function for that has no tag.
_UNTAGGED = ("tag", "latest")
# What makes an image of a function's own, which the MLRun server builds before its first run.
_BUILT = ("with_repo", "requirements", "requirements_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """`functions` by the name that the server knows each by; `workflows` are the project's, by name. `schedules` are what is submitted
    for each that MLRun is to fire, by its workflow."""

    project: Json
    functions: Mapping[str, Json] = field(default_factory=dict)
    workflows: tuple[str, ...] = ()
    schedules: Mapping[str, Json] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return str(self.project.get("spec", {}).get("source") or "")


def documents(
    resolved: Resolved, *, images: Images, python: str, source: str, origin: str = "", path: str = "."
) -> Documents:
    """`python` is the Python of the project's functions, `source` where MLRun takes the files from, `path` where the project is in them,
    `origin` what is noted as theirs. Raises PlanError for what is no image."""
    spec = resolved.project.get("spec") or {}
    whole = partial(images.function, python=python)
    default = whole(spec.get("default_image") or "")
    bare = {normal(one["name"]) for one in spec.get("functions") or () if _is_bare(one)}
    functions = (
        _function(one, str(spec.get("source") or ""), whole, source, origin) for one in resolved.functions.values()
    )
    return Documents(
        project=_placed(_project(resolved.project, images, whole, source, default), path),
        functions={
            one["metadata"]["name"]: _with_image(one, default) if one["metadata"]["name"] in bare else one
            for one in functions
        },
        workflows=tuple(sorted(resolved.workflows)),
    )


_Whole = Callable[[str], str]


def _placed(project: Json, path: str) -> Json:
    """MLRun's runner looks for the project where its `subpath` says."""
    return project if path == "." else {**project, "spec": {**project["spec"], "subpath": path}}


def _project(project: Json, images: Images, whole: _Whole, source: str, default: str) -> Json:
    found: Json = _completed(project, whole)
    spec = {**(found.get("spec") or {}), "source": source, "origin_url": source}
    spec.pop("owner", None)
    if workflows := (project.get("spec") or {}).get("workflows"):
        spec["workflows"] = [_workflow(one, images) for one in workflows]
    if spec.get("functions"):
        spec["functions"] = [{**one, "image": default} if _is_bare(one) else one for one in spec["functions"]]
    return {**found, "spec": spec}


def _workflow(workflow: Json, images: Images) -> Json:
    if not workflow.get("image"):
        return workflow
    asked = Asked(workflow=workflow["image"])
    return {**workflow, "image": images.runner(asked, str(workflow.get("name"))).image}


def _is_bare(definition: Json) -> bool:
    """A function as project.yaml lists it, made anew from its file by each runner, whose image nobody names and nobody builds."""
    made = "spec" not in definition and str(definition.get("url", "")).endswith((".py", ".ipynb"))
    kind = definition.get("kind") or ""
    return made and kind in _JOBS and not definition.get("image") and not any(definition.get(key) for key in _BUILT)


def _with_image(function: Json, image: str) -> Json:
    spec = function["spec"]
    return function if spec.get("image") else {**function, "spec": {**spec, "image": image}}


def _function(function: Json, before: str, whole: _Whole, source: str, origin: str) -> Json:
    found: Json = _completed(function, whole)
    spec = {**(found.get("spec") or {})}
    build = {**(spec.get("build") or {})}
    if before and build.get("source") == before:
        build["source"] = source
    if origin:
        build["code_origin"] = origin
    metadata = {key: value for key, value in found["metadata"].items() if (key, value) != _UNTAGGED}
    return {**found, "metadata": metadata, "spec": {**spec, "build": build}}


def _completed(value: Any, whole: _Whole) -> Any:
    """`value` with every image in it named whole."""
    if isinstance(value, dict):
        return {key: _one(key, item, whole) for key, item in value.items()}
    return [_completed(item, whole) for item in value] if isinstance(value, list) else value


def _one(key: str, item: Any, whole: _Whole) -> Any:
    if key in _NOT_OURS:
        return item
    if key in _IMAGE_KEYS and isinstance(item, str) and item:
        return whole(item)
    return _completed(item, whole)
