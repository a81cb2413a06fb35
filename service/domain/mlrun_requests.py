"""What MLRun is asked to do with a workflow, now or by a schedule: its WorkflowRequest, made from plain data.

MLRun keeps of a request no word that is only ours: the run's name and labels it makes itself, and an argument would reach the user's
code. It does keep where the files come from, as the parameter `url` of the run, or `project_context` where that is a folder of the image.
So that address names our run: an archive's by its capability, Git's by a query, which every SDK drops when it clones, and a folder's by
how often it says that it is itself. By it a submit without an answer is looked up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.domain.identity import normal
from service.domain.image_choice import node_selector_of
from service.domain.planned import PlannedRun
from service.domain.projects import Concurrency, Declaration, Json, Workflow
from service.errors import PlanError

RUNNER_LABEL = "job-type=workflow-runner"
# Of MLRun's own name for the function that runs a workflow.
RUNNER_PREFIX = "workflow-runner-"
_MARK = "gitops-run"
# Of notifications: mlrun/utils/notifications/notification, NotificationTypes.local.
_LOCAL_KINDS = frozenset({"console", "ipython"})
_SPEC = ("code", "path", "handler", "args_schema", "run_setup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A workflow as it is to run: by this image, on such nodes, with these arguments over its own, from these files.

    `schedule` is a cron line in MLRun's words; without one it runs now. `notifications` are those that MLRun sends.
    """

    workflow: Workflow
    source: str
    image: str | None = None
    node_selector: Mapping[str, str] = field(default_factory=dict)
    arguments: Json = field(default_factory=dict)
    schedule: str | None = None
    notifications: Sequence[Json] = ()


def request(asked: Asked) -> Json:
    """The body of a submit. Raises PlanError where an argument is missing."""
    workflow, args = asked.workflow, arguments(asked.workflow, asked.arguments)
    spec: Json = {key: workflow.spec[key] for key in _SPEC if workflow.spec.get(key)}
    spec |= {"name": workflow.name, "engine": engine_of(workflow), "args": args, "image": asked.image}
    if workflow.spec.get("cleanup_ttl"):
        spec["ttl"] = workflow.spec["cleanup_ttl"]
    if asked.node_selector:
        spec["workflow_runner_node_selector"] = dict(asked.node_selector)
    if asked.schedule:
        spec["schedule"] = asked.schedule
    found: Json = {
        "spec": spec,
        # What is false or empty in the spec gives way to what the saved project says; here it does not.
        "arguments": args,
        "artifact_path": "",
        "source": asked.source,
        "run_name": RUNNER_PREFIX + workflow.name,
        "namespace": None,
    }
    return {**found, "notifications": list(asked.notifications)} if asked.notifications else found


def notifications_of(project: Json) -> list[Json]:
    """Those of project.yaml that MLRun sends for each run of its runner; some kinds are for whoever sits before it."""
    spec = project.get("spec")
    listed = spec.get("notifications") if isinstance(spec, dict) else None
    found = listed if isinstance(listed, list) else []
    return [one for one in found if isinstance(one, dict) and one.get("kind") not in _LOCAL_KINDS]


def engine_of(workflow: Workflow) -> str:
    """Of the two that there are inside a runner."""
    return "local" if workflow.engine.rpartition(":")[2] == "local" else "kfp"


def marked(git_source: str, run: str) -> str:
    """`git://host/path#ref` for one run of ours."""
    address, hash_, ref = git_source.partition("#")
    return f"{address}?{_MARK}={run}{hash_}{ref}"


def inside_image(run: str) -> str:
    """`./`, the folder that the runner's image begins in, for one run of ours.

    Each bit of a number that the run has alone is a `/` or a `./`, which lead nowhere else.
    """
    number = int.from_bytes(hashlib.sha256(run.encode()).digest()[:8])
    return "./" + "".join("./" if number >> bit & 1 else "/" for bit in range(64))


def is_inside_image(source: str) -> bool:
    return source.startswith("./")


def source_of(run: Mapping[str, Any]) -> str:
    """Where a run in MLRun's database takes its files from."""
    spec = run.get("spec")
    parameters = spec.get("parameters") if isinstance(spec, dict) else None
    if not isinstance(parameters, dict):
        return ""
    return str(parameters.get("url") or parameters.get("project_context") or "")


def check(
    declaration: Declaration, workflows: Mapping[str, Workflow], runs: Iterable[tuple[str, Json]], *, tag: bool
) -> None:
    """Raise PlanError for runs (workflow and arguments) that MLRun's own runner cannot do."""
    check_names(workflows)
    for name, given in runs:
        if tag:
            raise PlanError(
                f"workflow {name} is to run for a tag, with the configuration of that commit, and MLRun's runner takes the one that is "
                "saved",
                mend="write runner: {launcher: process} or kubernetes in .gitops.yaml, or remove the rules with on: tag",
            )
        arguments(workflows[name], given)
    runner = declaration.runner
    asked = {"resources": runner.resources, "env": runner.env, "volumes": runner.volumes}
    for key in [key for key, value in asked.items() if value] + ["service_account"] * bool(runner.service_account):
        raise PlanError(
            f"runner.{key} in .gitops.yaml is for pods of this service, and MLRun makes its runner's pod itself",
            mend="remove it; what all runner pods of a project are to have, MLRun takes from its own settings",
        )


def check_names(workflows: Iterable[str]) -> None:
    """Raise PlanError where MLRun would run two workflows by one function of its own, the one with what the other asked for."""
    runners: dict[str, str] = {}
    for name in sorted(workflows):
        other = runners.setdefault(normal(name), name)
        if other != name:
            raise PlanError(
                f"MLRun runs the workflows {other} and {name} by one function, {RUNNER_PREFIX}{normal(name)}, since it makes no "
                "difference between such names",
                mend="name one of them otherwise",
            )


def warnings(runs: Iterable[PlannedRun]) -> Iterator[str]:
    """What waiting means for runs that MLRun's own runner does."""
    for run in runs:
        if run.concurrency is Concurrency.QUEUE:
            yield (
                f"a run of {run.workflow} that waits behind another (concurrency: queue) fails if a push changes the configuration meanwhile: "
                "MLRun's runner takes the one that is saved"
            )


def node_selector(declaration: Declaration, workflow: Workflow) -> dict[str, str]:
    """Of the runner's pod: as declared for the project, the workflow's own wish over it."""
    return {**declaration.runner.node_selector, **node_selector_of(workflow)}


def arguments(workflow: Workflow, given: Json) -> Json:
    """As MLRun's client merges them: the workflow's, the defaults of its schema, what is given. Raises PlanError where one is missing."""
    args = dict(workflow.spec.get("args") or workflow.args)
    schema = [one for one in workflow.spec.get("args_schema") or () if isinstance(one, dict) and one.get("name")]
    for one in schema:
        args.setdefault(one["name"], one.get("default"))
    missing = [one["name"] for one in schema if one.get("required") and one["name"] not in given]
    if missing:
        raise PlanError(
            f"workflow {workflow.name} wants the arguments {', '.join(missing)}, and they are not given",
            mend="give them where it runs: arguments in .gitops.yaml, or of the command",
        )
    return {**args, **given}
