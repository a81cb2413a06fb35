"""Projects, their revisions and previews."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from service.domain.states import PreviewState
from service.web.api.answers.answer import Answer, Failure
from service.web.api.answers.runs import OpenRun
from service.web.api.answers.syncs import Sync


class NextFire(Answer):
    """When a schedule is due next."""

    schedule: str = Field(description="The schedule's name.")
    workflow: str = Field(description="The workflow it starts.")
    due: datetime | None = Field(description="When; null: never, or the schedule is suspended.")


class InForce(Answer):
    """The configuration that is saved."""

    revision: str = Field(description="The revision's id.")
    commit: str | None = Field(description="The commit of the sync that put it in force.")
    subject: str | None = Field(description="The first line of the commit's message.")
    since: datetime | None = Field(description="When that sync ended.")


class Project(Answer):
    """An MLRun project that a repository owns."""

    name: str = Field(description="Its name, in MLRun too.")
    repository: str = Field(description="The repository that owns it.")
    path: str = Field(description="Its folder in the repository.")
    ref: str = Field(description="The full ref it follows.")
    created_at: datetime = Field(description="When it was first seen.")
    in_force: InForce | None = Field(description="The revision in force; null before the first sync succeeded.")
    suspended: bool = Field(description="Whether syncs and fires are stopped.")
    pinned: str | None = Field(description="The revision that a rollback holds in force.")
    error: str | None = Field(description="What is wrong with it.")
    last_sync: Sync | None = Field(description="The newest sync.")
    open_runs: list[OpenRun] = Field(description="Runs that have not ended, oldest first.")
    next_fires: list[NextFire] = Field(description="Its schedules and when they are due next, soonest first.")


class Revision(Answer):
    """A resolved project."""

    project: str = Field(description="The project.")
    id: str = Field(description="The hash of the normalized configuration.")
    commit: str = Field(description="The commit it was first resolved at.")
    created_at: datetime = Field(description="When.")
    in_force: bool = Field(description="Whether it is the saved one.")


class RevisionDetail(Revision):
    """A resolved project with its data."""

    resolved: dict[str, Any] = Field(description="Project, functions, workflows and checks, as plain JSON.")


class Preview(Answer):
    """What a push would do, of which nothing was done. It is kept for a few days."""

    id: str = Field(description="Its id.")
    project: str = Field(description="The project.")
    asked: str | None = Field(description="The ref or commit that was asked about; null: the project's ref.")
    ref: str | None = Field(description="The full ref that counts as pushed; null until it is known.")
    commit: str | None = Field(description="The commit that counts as pushed; null until it is known.")
    state: PreviewState = Field(description="How far it is; `skipped`: such a push would do nothing.")
    reason: str = Field(description="Why it is in this state, or what was assumed.")
    plan: dict[str, Any] | None = Field(
        description="What the push would do and why, as a sync has it; null until it is planned."
    )
    error: Failure | None = Field(description="Why there is no plan: what the push would fail by.")
    created_at: datetime = Field(description="When it was asked for.")
    ended_at: datetime | None = Field(description="When it was there. What is in force may have changed since.")


class Difference(Answer):
    """Something in MLRun that is not as it was saved. Secrets are masked, long values shortened."""

    what: str = Field(description="`project`, or `function NAME`.")
    path: str = Field(description="The field, dotted; empty where the whole thing is gone.")
    git: Any = Field(description="What Git's revision says; null: nothing.")
    saved: Any = Field(description="What was read back when it was saved.")
    there: Any = Field(description="What is there now.")


class Drift(Answer):
    """What differs in MLRun from what was last saved there. Fields that MLRun writes itself do not count."""

    project: str = Field(description="The project.")
    revision: str = Field(description="The revision that was saved.")
    commit: str = Field(description="The commit whose files MLRun takes since.")
    saved_at: datetime = Field(description="When.")
    unfinished: str | None = Field(
        description="The commit of a save that goes on or did not end: MLRun may have some of it, and runs by MLRun's own runner wait. Its sync repairs it."
    )
    differences: list[Difference] = Field(description="Everything that differs; the next sync writes it anew.")


class PlanMade(Answer):
    """A plan was asked for."""

    plan: str = Field(description="The plan's id.")
