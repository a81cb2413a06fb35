"""Whose a load's result is: it was made beside the project's own code, which may say anything, and is written with the service's credential.

So a result counts for the project that was asked for and for no other, and each name in it has to be one that stays inside that project.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from service.domain.projects import Json, Resolved
from service.errors import LoadFailed

# What MLRun says that the names of functions must match, after it has made them so (mlrun.utils.normalize_name; dns_1123_subdomain).
_FUNCTION = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SPACES = re.compile(r"\s+")
# MLRun takes any name for a workflow. It is one part of an address, in words that people can read.
_LONGEST = 253
_LEADS_ELSEWHERE = frozenset("/\\")


def own(resolved: Resolved, project: str) -> Resolved:
    """`resolved` as the project's, each function in it too. Raises LoadFailed where a name says otherwise."""
    for where, name in (("name", resolved.name), ("metadata.name", _metadata(resolved.project).get("name"))):
        if name != project:
            raise LoadFailed(
                f"what was loaded for the project {project} says in {where} that it is {_quoted(name)}",
                mend="let project_setup.py return the project that it is given, under its own name; it writes no other project",
            )
    for workflow in resolved.workflows:
        _check_workflow(workflow, project)
    functions = {key: _function(key, one, project) for key, one in resolved.functions.items()}
    return replace(resolved, functions=functions)


def normal(name: str) -> str:
    """As MLRun makes the names of functions."""
    return _SPACES.sub("-", name).replace("_", "-").lower()


def _check_workflow(name: str, project: str) -> None:
    elsewhere = not _LEADS_ELSEWHERE.isdisjoint(name) or not name.strip(".")
    if elsewhere or len(name) > _LONGEST or not name.isprintable():
        raise LoadFailed(
            f"a workflow of {project} is called {_quoted(name)}",
            mend=f"name it without slashes and control characters, with 1 to {_LONGEST} characters that are not all dots",
        )


def _function(key: str, function: Json, project: str) -> Json:
    metadata = _metadata(function)
    name = metadata.get("name", key)
    if not isinstance(name, str) or not _FUNCTION.fullmatch(normal(name)):
        raise LoadFailed(
            f"a function of {project} is called {_quoted(name)}",
            mend="name it with letters, digits and dashes, beginning and ending with a letter or digit",
        )
    return {**function, "metadata": {**metadata, "name": name, "project": project}}


def _metadata(document: Json) -> Json:
    found: Any = document.get("metadata")
    return found if isinstance(found, dict) else {}


def _quoted(name: Any) -> str:
    return repr(name)[:100] if isinstance(name, str) else f"no text ({type(name).__name__})"
