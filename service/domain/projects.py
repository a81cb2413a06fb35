"""A project as a repository declares it and as the runner resolves it.

`Declaration` is one entry of `.gitops.yaml` (or the default where there is none): where the project is, which refs
and paths concern it, what runs when. `Resolved` is what `load` made of project.yaml and project_setup.py: plain
JSON, with which a revision can be saved again without anybody's code.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

Json = dict[str, Any]


class Concurrency(StrEnum):
    """What a new run does about runs of the same workflow: only one of a (project, workflow) is active at a time."""

    SUPERSEDE = "supersede"  # a queued older run gives way
    QUEUE = "queue"  # every run gets its turn
    CANCEL_RUNNING = "cancel-running"  # the active one is cancelled too


class RunOn(StrEnum):
    PUSH = "push"
    TAG = "tag"
    MANUAL = "manual"


class CatchUp(StrEnum):
    LATEST = "latest"  # of the fires missed while down, the last one runs
    NONE = "none"  # missed is missed


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRule:
    workflow: str
    on: RunOn = RunOn.PUSH
    arguments: Json = field(default_factory=dict)
    concurrency: Concurrency = Concurrency.SUPERSEDE


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRule:
    """`cron` is five fields in Debian cron's rules; `timezone` an IANA name."""

    workflow: str
    cron: str
    timezone: str = "UTC"
    catch_up: CatchUp = CatchUp.LATEST
    arguments: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerRule:
    """Where and how a project's jobs run. `volumes` maps the names of the operator's volumes to where they are mounted.

    `target_dir`: runs take the commit's files from there in the image, which is built with them.
    """

    launcher: str | None = None
    image: str | None = None
    requirements_file: str | None = None
    target_dir: str | None = None
    node_selector: dict[str, str] = field(default_factory=dict)
    resources: Json = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)
    service_account: str | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyRule:
    """Who hears of what of this project; `refs` are branch and tag names, globs allowed; `severity` is the least."""

    to: str
    on: tuple[str, ...]
    refs: tuple[str, ...] = ("*",)
    severity: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One project of a repository.

    `name` may be a pattern with `{ref}`; None means: project.yaml says it. `run` None means the default rule,
    an empty tuple means that nothing runs. `refs` are branch or tag names, globs allowed; empty means the
    repository's branch.
    """

    path: str = "."
    name: str | None = None
    refs: tuple[str, ...] = ()
    paths: tuple[str, ...] = ("**",)
    python: str | None = None
    run: tuple[RunRule, ...] | None = None
    schedules: dict[str, ScheduleRule] = field(default_factory=dict)
    runner: RunnerRule = RunnerRule()
    notify: tuple[NotifyRule, ...] = ()
    setup_parameters: Json = field(default_factory=dict)
    prune_functions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A workflow as project.yaml or `set_workflow` defines it; `spec` is MLRun's own dict, unchanged."""

    name: str
    engine: str = "kfp"
    schedule: str | None = None
    args: Json = field(default_factory=dict)
    image: str | None = None
    spec: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The result of `load`: what would be saved, as plain JSON.

    `project` is `MlrunProject.to_dict()` with a source that holds no credential; `functions` maps a function's name to its
    dict, as `sync_functions` would save it; `checks` maps a workflow to `compiled`, `bound` or `run`
    (it could only be checked by running it). `asked` are the calls that MLRun's API answered: the next load may hear another answer.
    """

    name: str
    project: Json
    functions: dict[str, Json] = field(default_factory=dict)
    workflows: dict[str, Workflow] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


# Fields of MLRun's that say when or where something was resolved, not what it is.
_NOT_CONTENT = frozenset({"created", "updated", "hash", "code_origin", "status", "origin_url", "owner"})


# Under these the keys are the user's own words: a parameter may be called `status`, a function `owner`.
USERS_WORDS = frozenset({"params", "parameters", "args", "arguments", "labels", "annotations"})
_BY_NAME = frozenset({"functions", "workflows"})


def content(value: Any) -> Any:
    """`value` without the fields that change with every commit or clock (see DESIGN, "Saving and drift")."""
    if isinstance(value, dict):
        return {k: _content_of(k, v) for k, v in sorted(value.items()) if k not in _NOT_CONTENT and v is not None}
    if isinstance(value, (list, tuple)):
        return [content(v) for v in value]
    return value


def _content_of(key: str, value: Any) -> Any:
    if key in USERS_WORDS:
        return value
    if key in _BY_NAME and isinstance(value, dict):
        return {name: content(one) for name, one in sorted(value.items())}
    return content(value)


def revision_id(resolved: Resolved) -> str:
    """The hash of the normalized data: equal configurations have one id, whatever commit they came from."""
    plain = content(msgspec.to_builtins(resolved))
    for beside in ("warnings", "checks", "asked"):
        plain.pop(beside, None)
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()[:20]
