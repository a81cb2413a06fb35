"""What a plan is made of: plain data that goes to the store, to the API and to people."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from service.domain.image_build import Additions
from service.domain.images import Images
from service.domain.policy import Policy
from service.domain.projects import CatchUp, Concurrency, Json, Resolved
from service.domain.python_version import Said

if TYPE_CHECKING:
    from service.domain.writes import Saving


class Cause(StrEnum):
    """Why a sync happens."""

    PUSH = "push"
    FOUND = "found"  # polling found a ref that moved without a word
    FIRST = "first"  # the first sync of a ref that was found without a push: saves and schedules, runs nothing
    TOLD = "told"  # a webhook told of a first sync's commit after it was found: what that sync did not run, runs
    MANUAL = "manual"
    RETRY = "retry"


class Action(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSpec:
    """A schedule in force: `name` is unique in its project."""

    name: str
    workflow: str
    cron: str
    timezone: str = "UTC"
    catch_up: CatchUp = CatchUp.LATEST
    arguments: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """`image` is the workflow runner's; None where no MLRun was given to choose for."""

    workflow: str
    reason: str
    arguments: Json = field(default_factory=dict)
    concurrency: Concurrency = Concurrency.SUPERSEDE
    image: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSchedule:
    action: Action
    name: str
    reason: str
    before: ScheduleSpec | None = None
    after: ScheduleSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference of the configuration: `path` is dotted (`spec.params.rows`)."""

    path: str
    action: Action
    before: Any = None
    after: Any = None


class WriteKind(StrEnum):
    """What of MLRun's a write is about."""

    FUNCTION = "function"
    PROJECT = "project"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWrite:
    """One write into MLRun: a document that is put there whole, or taken away. `drifted` are the fields of it that somebody changed there
    since it was last saved, and that it puts right; the name alone where all of it is gone."""

    kind: WriteKind
    name: str
    action: Action
    reason: str
    drifted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedImage:
    """An image that workflows need and MLRun builds, unless it `is_there`: when the first of their runs is to start.

    `image` is its name as MLRun completes it; `target_dir` is where the commit's files are in it.
    """

    image: str
    base_image: str
    workflows: tuple[str, ...]
    requirements: tuple[str, ...] = ()
    target_dir: str | None = None
    is_there: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything `make_plan` looks at.

    `changed_paths` None means unknown: then everything changed. `in_force` is the resolved project of the
    revision in force, None at first. `messages` are the commit messages since the base, newest first. `images` is the
    operator's MLRun, without which no images are chosen; `python` what the project says of its own. `policy` is what workflows may
    ask for where they run as pods; None: they have no say. `runs_in_mlrun` and `clock_in_mlrun`: MLRun runs the workflows, and fires the
    schedules. `saving` is what decides about MLRun's own DB, where there is one. `additions` are what MLRun is to build into the runner's
    image, and `built` the keys of images that it has built.
    """

    cause: Cause
    ref: str
    commit: str
    declaration: Any
    resolved: Resolved
    in_force: Resolved | None
    schedules: tuple[ScheduleSpec, ...]
    changed_paths: tuple[str, ...] | None
    messages: tuple[str, ...] = ()
    default_branch: bool = True
    images: Images | None = None
    python: Said | None = None
    policy: Policy | None = None
    runs_in_mlrun: bool = False
    clock_in_mlrun: bool = False
    saving: Saving | None = None
    additions: Additions | None = None
    built: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    project: str
    ref: str
    commit: str
    cause: Cause
    revision: str
    save: bool
    puts_in_force: bool
    changes: tuple[Change, ...] = ()
    runs: tuple[PlannedRun, ...] = ()
    schedules: tuple[PlannedSchedule, ...] = ()
    writes: tuple[PlannedWrite, ...] = ()
    images: tuple[PlannedImage, ...] = ()
    additions: Additions | None = None
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()
