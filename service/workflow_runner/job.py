"""The job document: what the launcher asks for.

Everything that a job says is checked here, before anything is touched, so that a launcher's mistake is told from a
mistake of the user's project: a bad job exits with 2 and claims nothing.
"""

import json
import os
import re

VERSION = 1
LOAD = "load"
RUN = "run"
ENGINES = ("kfp", "local")

# What MLRun itself asks of a project's name.
PROJECT_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")


class BadJob(Exception):
    """The document is not a job; says which field."""


class Project:
    """Where the project is and what it is called.

    `name` is what `.gitops.yaml` says (None: project.yaml says it), `repository_name` the name to fall back to.
    `source` is saved as the project's source; it never holds a credential.
    """

    def __init__(self, path, name, repository_name, source):
        self.path = path
        self.name = name
        self.repository_name = repository_name
        self.source = source


class Job:
    """A job document, checked. `directory` is the project's directory, which becomes the working directory."""

    def __init__(self, document):
        self.id = document["id"]
        self.kind = document["kind"]
        self.source = os.path.realpath(document["source"])
        self.folder = os.path.realpath(document["folder"])
        self.log_bytes = document.get("log_bytes")
        self.project = document["project"]
        self.setup_parameters = document.get("setup_parameters") or {}
        self.check = document.get("check")
        self.resolved = document.get("resolved")
        self.workflow = document.get("workflow")
        self.arguments = document.get("arguments") or {}
        self.engine = document.get("engine") or "kfp"
        self.directory = os.path.realpath(os.path.join(self.source, self.project.path))


def read(path):
    """The job in the file `path`. Raises BadJob."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as exc:
        raise BadJob("cannot be read: {}".format(exc.strerror))
    except ValueError as exc:
        raise BadJob("is not JSON: {}".format(exc))
    return parse(document)


def parse(document):
    """The job that `document` describes. Raises BadJob, naming the field."""
    if not isinstance(document, dict):
        raise BadJob("the job must be an object")
    if document.get("version") != VERSION:
        raise BadJob("version: {!r} is not {}".format(document.get("version"), VERSION))
    if document.get("kind") not in (LOAD, RUN):
        raise BadJob("kind: {!r} is neither {!r} nor {!r}".format(document.get("kind"), LOAD, RUN))
    _text(document, "id")
    for field in ("source", "folder"):
        if not os.path.isdir(_text(document, field)) or not os.path.isabs(document[field]):
            raise BadJob("{}: {!r} is not the absolute path of a directory".format(field, document[field]))
    log_bytes = document.get("log_bytes")
    if log_bytes is not None and (not isinstance(log_bytes, int) or isinstance(log_bytes, bool) or log_bytes < 1):
        raise BadJob("log_bytes: {!r} is not a positive number".format(log_bytes))
    job = Job(dict(document, project=_project(document)))
    inside = os.path.join(job.source, "")
    if not os.path.join(job.directory, "").startswith(inside):
        raise BadJob("project.path: {!r} leads out of the source".format(job.project.path))
    if not os.path.isdir(job.directory):
        raise BadJob("project.path: there is no directory {!r} in the source".format(job.project.path))
    if job.kind == LOAD:
        _mapping(document, "setup_parameters", missing={})
        check = document.get("check")
        if check is not None and (not isinstance(check, list) or not all(isinstance(name, str) for name in check)):
            raise BadJob("check: must be null or a list of workflow names")
    else:
        resolved = _mapping(document, "resolved")
        _mapping(resolved, "project", "resolved.")
        _mapping(resolved, "functions", "resolved.")
        _text(_mapping(document, "workflow"), "name", "workflow.")
        _mapping(document, "arguments", missing={})
        if job.engine not in ENGINES:
            raise BadJob("engine: {!r} is not one of {}".format(job.engine, ", ".join(ENGINES)))
    return job


def _project(document):
    fields = _mapping(document, "project")
    name = fields.get("name")
    if name is not None and (not isinstance(name, str) or not PROJECT_NAME.match(name)):
        raise BadJob(
            "project.name: {!r} is not a project name; use lower-case letters, digits and '-', 63 at most".format(name)
        )
    return Project(
        _text(dict({"path": "."}, **fields), "path", "project."),
        name,
        _text(dict({"repository_name": document["id"]}, **fields), "repository_name", "project."),
        without_credentials(_text(dict({"source": ""}, **fields), "source", "project.", empty=True)),
    )


def without_credentials(url):
    """`url` without `user:password@`; a source is saved where many can read it."""
    return re.sub(r"^([a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#]*@", r"\1", url)


def _text(fields, field, prefix="", empty=False):
    value = fields.get(field)
    if not isinstance(value, str) or not (value or empty) or "\0" in value:
        raise BadJob("{}{}: {!r} is not a text".format(prefix, field, value))
    return value


def _mapping(fields, field, prefix="", missing=None):
    value = fields.get(field, missing)
    if not isinstance(value, dict):
        raise BadJob("{}{}: {!r} is not an object".format(prefix, field, value))
    return value
