"""The job document: what the launcher asks for.

Everything that a job says is checked here, before anything is touched, so that a launcher's mistake is told from a
mistake in the user's project: a bad job exits with 2 and claims nothing.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import Any, Optional

from .plain import Json

VERSION = 1
LOAD = "load"
RUN = "run"
ENGINES = ("kfp", "local")

# What MLRun itself asks of a project's name.
PROJECT_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")


class BadJobError(Exception):
    """The document is not a job; says which field."""


@dataclass(frozen=True)
class Project:
    """Where the project is and what it is called.

    `name` is what `.gitops.yaml` says (None: project.yaml says it), `repository_name` the name to fall back to.
    `source` is saved as the project's source; it never holds a credential.
    """

    path: str
    name: Optional[str]
    repository_name: str
    source: str


@dataclass(frozen=True)
class Api:
    """The address of MLRun's API, and what the runner shows to it; empty where it asks for nothing.

    `session`: it is an access key of the Iguazio platform, else a bearer token. `ca` are certificates to trust, in PEM.
    """

    url: str
    token: str = field(default="", repr=False)
    session: bool = False
    ca: str = field(default="", repr=False)


@dataclass(frozen=True)
class Job:
    """A job document, checked; paths are absolute and without links."""

    id: str
    kind: str
    source: str
    folder: str
    project: Project
    mlrun: Optional[Api] = None
    setup_parameters: Json = field(default_factory=dict)  # load
    check: Optional[list[str]] = None
    image: Optional[str] = None  # that this load runs in; None: everything runs where it does
    resolved: Json = field(default_factory=dict)  # run
    workflow: Json = field(default_factory=dict)
    arguments: Json = field(default_factory=dict)
    engine: str = "kfp"

    @property
    def directory(self) -> str:
        """The project's directory; whether it is there is the user's business."""
        return os.path.realpath(os.path.join(self.source, self.project.path))


def read(path: str) -> Job:
    """The job in the file `path`. Raises BadJobError."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as exc:
        raise BadJobError(f"cannot be read: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise BadJobError(f"is not JSON: {exc}") from exc
    return parse(document)


def parse(document: Any) -> Job:
    """The job that `document` describes. Raises BadJobError, naming the field."""
    if not isinstance(document, dict):
        raise BadJobError("the job must be an object")
    if document.get("version") != VERSION:
        raise BadJobError(f"version: {document.get('version')!r} is not {VERSION}")
    kinds = {LOAD: _load, RUN: _run}
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise BadJobError(f"kind: {kind!r} is neither {LOAD!r} nor {RUN!r}")
    return Job(
        id=_text(document, "id"),
        kind=kind,
        source=_directory(document, "source"),
        folder=_directory(document, "folder"),
        project=_project(_mapping(document, "project")),
        mlrun=_api(document.get("mlrun")),
        **kinds[kind](document),
    )


def _load(document: Json) -> Json:
    check = document.get("check")
    if check is not None and (not isinstance(check, list) or not all(isinstance(name, str) for name in check)):
        raise BadJobError("check: must be null or a list of workflow names")
    image = document.get("image")
    if image is not None and not isinstance(image, str):
        raise BadJobError(f"image: {image!r} is not a text")
    return {"setup_parameters": _mapping(document, "setup_parameters", missing={}), "check": check, "image": image}


def _run(document: Json) -> Json:
    resolved = _mapping(document, "resolved")
    for part in ("project", "functions"):
        _mapping(resolved, part, "resolved.")
    workflow = _mapping(document, "workflow")
    _text(workflow, "name", "workflow.")
    engine = document.get("engine")
    if engine not in ENGINES:
        raise BadJobError(f"engine: {engine!r} is not one of {', '.join(ENGINES)}")
    arguments = _mapping(document, "arguments", missing={})
    return {"resolved": resolved, "workflow": workflow, "arguments": arguments, "engine": engine}


def _project(fields: Json) -> Project:
    name = fields.get("name")
    if name is not None and (not isinstance(name, str) or not PROJECT_NAME.match(name)):
        raise BadJobError(
            f"project.name: {name!r} is not a project name; use lower-case letters, digits and '-', 63 at most"
        )
    return Project(
        path=_text(fields, "path", "project."),
        name=name,
        repository_name=_text(fields, "repository_name", "project."),
        source=without_credentials(_text(fields, "source", "project.", empty=True)),
    )


def _api(fields: Any) -> Optional[Api]:
    """No text of an error holds what is secret here."""
    if fields is None:
        return None
    if not isinstance(fields, dict):
        raise BadJobError("mlrun: must be null or an object")
    url = _text(fields, "api", "mlrun.")
    if not url.startswith(("http://", "https://")):
        raise BadJobError(f"mlrun.api: {url!r} begins with neither http:// nor https://")
    texts = {name: fields.get(name) or "" for name in ("token", "ca")}
    for name, text in texts.items():
        if not isinstance(text, str) or "\0" in text:
            raise BadJobError(f"mlrun.{name}: is not a text")
    return Api(url, session=bool(fields.get("session")), **texts)


def without_credentials(url: str) -> str:
    """`url` without `user:password@`; a source is saved where many can read it."""
    return re.sub(r"^([a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#]*@", r"\1", url)


def _directory(fields: Json, name: str) -> str:
    path = _text(fields, name)
    if not os.path.isabs(path) or not os.path.isdir(path):
        raise BadJobError(f"{name}: {path!r} is not the absolute path of a directory")
    return os.path.realpath(path)


def _text(fields: Json, name: str, prefix: str = "", *, empty: bool = False) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not (value or empty) or "\0" in value:
        raise BadJobError(f"{prefix}{name}: {value!r} is not a text")
    return value


def _mapping(fields: Json, name: str, prefix: str = "", missing: Optional[Json] = None) -> Json:
    value = fields.get(name, missing)
    if not isinstance(value, dict):
        raise BadJobError(f"{prefix}{name}: {value!r} is not an object")
    return value
