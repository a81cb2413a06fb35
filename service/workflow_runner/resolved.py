"""A project from its resolved form, plain data: no file of the repository says anything here but code."""

from __future__ import annotations

import copy
from typing import Any

from .plain import Json


def build(resolved: Json) -> Any:
    """The MlrunProject that `resolved` describes, in the working directory, with exactly the functions it has."""
    import mlrun

    project = mlrun.projects.MlrunProject.from_dict(copy.deepcopy(resolved["project"]))
    project.spec.context = "./"
    project.spec.functions = []
    for key, struct in resolved["functions"].items():
        function = mlrun.new_function(runtime=copy.deepcopy(struct))
        project.spec.set_function(key, function, {"name": key, "spec": copy.deepcopy(struct)})
    return project


def make_current(project: Any) -> None:
    """What `mlrun.get_current_project()` answers, and where names without a project belong."""
    import mlrun

    mlrun.mlconf.default_project = project.metadata.name
    mlrun.pipeline_context.set(project)
