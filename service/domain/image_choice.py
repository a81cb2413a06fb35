"""The images of one project: what it asks for, what is chosen for each workflow, and what people should know of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from service.domain.images import Asked, RunnerImage
from service.domain.planned import Inputs
from service.domain.projects import Declaration, Resolved, RunnerRule, Workflow
from service.errors import PlanError

_SELECTOR = "workflow_runner_node_selector"


def asked(declaration: Declaration, resolved: Resolved, workflow: str) -> Asked:
    """What is asked for one workflow."""
    spec = resolved.project.get("spec")
    default = spec.get("default_image") if isinstance(spec, dict) else None
    known = resolved.workflows.get(workflow)
    return Asked(
        workflow=known.image if known else None,
        declared=declaration.runner.image,
        default=default if isinstance(default, str) else None,
    )


def choose(inputs: Inputs) -> dict[str, RunnerImage]:
    """The runner's image of every workflow, also of those that run later. Raises PlanError."""
    if inputs.images is None:
        return {}
    inputs.images.python(inputs.python)
    return {
        workflow: inputs.images.runner(asked(inputs.declaration, inputs.resolved, workflow), workflow)
        for workflow in inputs.resolved.workflows
    }


def check_allowed(inputs: Inputs, chosen: Mapping[str, RunnerImage]) -> None:
    """A workflow in project.yaml picks for its pod what `.gitops.yaml` may pick, and MLRun's own images. Raises PlanError."""
    if inputs.policy is None or inputs.images is None:
        return
    for name, workflow in sorted(inputs.resolved.workflows.items()):
        one = chosen[name]
        if one.asked_by and not inputs.images.is_own(one.image):
            _allow(f"workflow {name}: {one.asked_by}, {one.image},", one.image, "images", inputs.policy.images)
        for key, value in node_selector_of(workflow).items():
            wish = f"{key}={value}"
            said = f"workflow {name}: {_SELECTOR} {wish}"
            _allow(said, wish, "node_selectors", inputs.policy.node_selectors)


def _allow(said: str, wish: str, key: str, patterns: tuple[str, ...]) -> None:
    if not any(fnmatchcase(wish, pattern) for pattern in patterns):
        choice = f"the operator allows {', '.join(patterns)}" if patterns else "the operator allows none"
        raise PlanError(f"{said} is not allowed", mend=f"{choice} (policy.{key} in the settings)")


def node_selector_of(workflow: Workflow) -> dict[str, str]:
    """What the workflow itself asks of the node its runner is on, by MLRun's own key."""
    given = workflow.spec.get(_SELECTOR)
    return {str(key): str(value) for key, value in given.items()} if isinstance(given, dict) else {}


def runner_of(declaration: Declaration, workflow: Workflow) -> RunnerRule:
    """Where and how the workflow's job runs: as declared for the project, the workflow's own wish over it."""
    runner = declaration.runner
    return replace(runner, node_selector={**runner.node_selector, **node_selector_of(workflow)})


def warnings(inputs: Inputs, chosen: Mapping[str, RunnerImage]) -> Iterator[str]:
    """Runs that are processes have one environment for all: what else was asked for is told."""
    if (images := inputs.images) is None or not images.in_process:
        return
    python, runs_on = images.python(inputs.python), images.row.python
    if python != runs_on:
        why = f"as {inputs.python.by} says" if inputs.python else f'unless .gitops.yaml says python: "{runs_on}"'
        yield (
            f"steps run on Python {runs_on}, which MLRun {images.version} needs for workflows; "
            f"in images ({images.function(None, python)}) they would run on Python {python}, {why}"
        )
    for workflow, one in sorted(chosen.items()):
        if one.asked_by:
            yield (
                f"workflow {workflow}: {one.asked_by}, {one.image}, is not used: "
                f"runs are processes in the environment of MLRun {images.version}"
            )
