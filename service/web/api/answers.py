"""What the API answers, as types; the OpenAPI document and the reference page come from here.

Field names are those of the store's rows, from whose attributes the answers are made. Times are RFC 3339 in UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.domain.events import Topic
from service.domain.plan import Cause
from service.domain.projects import CatchUp, Concurrency
from service.domain.states import (
    DeliveryState,
    FireState,
    NotificationState,
    Outcome,
    PreviewState,
    RunState,
    SyncState,
)


class Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class Failure(Answer):
    """What went wrong, and what to do about it."""

    code: str = Field(default="", description="The error's stable name, as `repository-unreachable`.")
    what: str = Field(default="", description="What happened, to what.")
    mend: str = Field(default="", description="What to do about it.")
    detail: str = Field(default="", description="Longer text: a traceback, git's words.")


class Delivery(Answer):
    """A webhook that arrived, and what became of it."""

    id: str = Field(description="Its id.")
    hook: str = Field(description="The repository or hook whose address it came to.")
    forge: str = Field(description="What sent it; `api` where a person asked for the sync.")
    forge_id: str | None = Field(description="The forge's own id of it; the same when the forge sends it again.")
    received_at: datetime = Field(description="When it arrived.")
    state: DeliveryState = Field(description="What was decided about it at once.")
    reason: str = Field(description="Why.")
    event: str | None = Field(description="The forge's name of the event.")
    repository: str | None = Field(description="The repository it is about; null until it was parsed, or if unknown.")
    ref: str | None = Field(description="The full ref that moved, as `refs/heads/main`.")
    before: str | None = Field(description="The commit it was at, as the forge says.")
    after: str | None = Field(description="The commit it is at, as the forge says; what is synced is what Git says.")
    pusher: str | None = Field(description="Who pushed.")
    size: int = Field(description="Bytes of the body.")
    outcome: Outcome | None = Field(description="What became of it once its repository was fetched; null: not yet.")
    outcome_reason: str | None = Field(description="Why.")
    outcome_at: datetime | None = Field(description="When that was known.")


class Ref(Answer):
    """A branch or tag as the last fetch saw it."""

    ref: str = Field(description="The full ref.")
    commit: str = Field(description="The commit at its tip.")
    seen_at: datetime = Field(description="When a fetch first saw it there.")
    missing_since: datetime | None = Field(description="Since when fetches do not see the ref any more.")


class Repository(Answer):
    """A repository of config.yaml and how its news arrive."""

    name: str = Field(description="Its name.")
    url: str = Field(description="Where it is fetched from.")
    forge: str = Field(description="What sends its webhooks.")
    webhook: str = Field(description="The address for its webhooks; a path where `server.public_url` is not set.")
    branch: str | None = Field(description="The branch that counts: as configured, else the remote's default.")
    poll_s: float = Field(description="Seconds between two looks without a webhook; 0: never.")
    delivered_at: datetime | None = Field(description="When a webhook last arrived.")
    fetched_at: datetime | None = Field(description="When it was last fetched with success.")
    waiting: int = Field(description="Deliveries whose outcome is not known yet.")
    lag_s: float | None = Field(description="How long the oldest of them waits; null when none does.")
    error: str | None = Field(description="Why the last fetch failed; null after one that did not.")
    error_at: datetime | None = Field(description="When it failed.")
    projects: list[str] = Field(description="The projects it owns.")


class RepositoryDetail(Repository):
    """A repository with its refs."""

    refs: list[Ref] = Field(description="Every branch and tag that the last fetch saw.")


class Sync(Answer):
    """The transition of one project to one commit."""

    id: str = Field(description="Its id.")
    project: str = Field(description="The project.")
    repository: str = Field(description="Its repository.")
    ref: str = Field(description="The full ref.")
    commit: str = Field(description="The commit it brings the project to.")
    subject: str | None = Field(description="The first line of the commit's message.")
    author: str | None = Field(description="The commit's author.")
    base: str | None = Field(
        description="The commit that changes were counted from; null: everything counts as changed."
    )
    seq: int = Field(description="The number of this sync among the project's.")
    cause: Cause = Field(description="Why it happens.")
    state: SyncState = Field(description="How far it is.")
    reason: str = Field(description="Why it is in this state.")
    superseded_by: str | None = Field(description="The newer sync that it gave way to.")
    revision: str | None = Field(description="The revision it made or met.")
    error: Failure | None = Field(description="Why it failed.")
    timings: dict[str, float] = Field(description="Seconds that each stage took.")
    created_at: datetime = Field(description="When it was queued.")
    started_at: datetime | None = Field(description="When work on it began.")
    ended_at: datetime | None = Field(description="When it ended.")


class RunError(Answer):
    """Why a run failed; the traceback is of the user's own code."""

    type: str = Field(default="", description="The exception's type.")
    message: str = Field(default="", description="Its message.")
    traceback: str = Field(default="", description="The traceback, without the runner's own frames.")
    step: str | None = Field(default=None, description="The step it happened in.")


class Run(Answer):
    """One execution of a workflow."""

    id: str = Field(description="Its id.")
    project: str = Field(description="The project.")
    repository: str = Field(description="Its repository.")
    workflow: str = Field(description="The workflow.")
    ref: str = Field(description="The full ref.")
    commit: str = Field(description="The commit whose files run.")
    revision: str = Field(description="The revision whose configuration runs.")
    arguments: dict[str, Any] = Field(description="The workflow's arguments.")
    sync: str | None = Field(description="The sync that planned it ...")
    schedule: str | None = Field(description="... or the schedule that fired it ...")
    due: datetime | None = Field(description="... at this due time ...")
    request: str | None = Field(description="... or the key of the request that asked for it.")
    retry_of: str | None = Field(description="The run that it repeats.")
    concurrency: Concurrency = Field(description="What it does about other runs of the same workflow.")
    launcher: str = Field(description="Where it runs.")
    image: str | None = Field(
        description="The workflow runner's image. As a process it runs in the environment that stands for it."
    )
    mlrun_version: str = Field(description="The MLRun in its runner environment.")
    timeout_s: float = Field(description="How many seconds it may take.")
    state: RunState = Field(description="How far it is.")
    reason: str = Field(description="Why it is in this state.")
    results: dict[str, Any] | None = Field(description="What it returned.")
    error: RunError | None = Field(description="Why it failed.")
    created_at: datetime = Field(description="When it was queued.")
    started_at: datetime | None = Field(description="When its code began to run.")
    ended_at: datetime | None = Field(description="When it ended.")


class OpenRun(Answer):
    """A run that has not ended."""

    id: str = Field(description="Its id.")
    workflow: str = Field(description="The workflow.")
    state: RunState = Field(description="How far it is.")
    reason: str = Field(description="Why it is in this state.")
    created_at: datetime = Field(description="When it was queued.")
    started_at: datetime | None = Field(description="When its code began to run.")


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


class SyncDetail(Sync):
    """A sync with its plan and its runs."""

    plan: dict[str, Any] | None = Field(description="What it decided to do and why; null before it was planned.")
    runs: list[Run] = Field(description="The runs that it planned, oldest first.")


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


class DeliveryDetail(Delivery):
    """A delivery with the syncs that its push led to."""

    headers: dict[str, str] = Field(description="The request's headers, without credentials.")
    syncs: list[Sync] = Field(description="The syncs of its commit; their ids lead to the rest of the story.")


class RunEvent(Answer):
    """A line of a run's event file."""

    position: int = Field(description="Where it stands; the `after` of the events behind it.")
    at: datetime = Field(description="When it happened, by the runner's clock.")
    event: str = Field(description="What: `claimed`, `started`, `step.started`, `artifact`, `finished` ...")
    data: dict[str, Any] = Field(description="The event's own fields.")


class RunEvents(Answer):
    """Events of a run, in order."""

    items: list[RunEvent] = Field(description="The events.")
    ended: bool = Field(description="Whether the run has ended, so that none will follow.")


class Log(Answer):
    """A part of what a run printed."""

    text: str = Field(description="The text.")
    offset: int = Field(description="The byte it begins at.")
    next_offset: int = Field(description="The byte behind it; the `offset` to ask for next.")
    complete: bool = Field(description="Whether nothing will follow.")


class Schedule(Answer):
    """A schedule in force."""

    id: str = Field(description="Its id; a schedule that comes again under its name has a new one.")
    project: str = Field(description="The project.")
    name: str = Field(description="Its name in the project.")
    workflow: str = Field(description="The workflow it starts.")
    cron: str = Field(description="Five fields, by Debian cron's rules.")
    timezone: str = Field(description="The time zone they are read in.")
    catch_up: CatchUp = Field(description="What happens to fires that were missed.")
    arguments: dict[str, Any] = Field(description="The workflow's arguments.")
    next_due: datetime | None = Field(description="When it is due next.")
    suspended: bool = Field(description="Whether it is stopped.")
    created_at: datetime = Field(description="When it was created.")
    changed_at: datetime = Field(description="When it was last changed.")
    removed_at: datetime | None = Field(description="When it was removed.")
    sync: str | None = Field(description="The sync that created, changed or removed it last.")


class Fire(Answer):
    """A due time of a schedule and what became of it."""

    schedule: str = Field(description="The schedule's id.")
    due: datetime = Field(description="The due time.")
    state: FireState = Field(description="What became of it.")
    reason: str = Field(description="Why.")
    run: str | None = Field(description="The run it started.")
    at: datetime = Field(description="When that was decided.")


class Notification(Answer):
    """A message to one handler."""

    id: str = Field(description="Its id; the handler sends it along, so that a receiver may drop what it has seen.")
    handler: str = Field(description="The handler.")
    event: Topic = Field(description="What it tells of.")
    title: str = Field(description="The message in a line.")
    key: str = Field(description="What it says, without times; a handler hears each key once.")
    project: str | None = Field(description="The project it is about.")
    run: str | None = Field(description="The run it is about.")
    sync: str | None = Field(description="The sync it is about.")
    state: NotificationState = Field(description="Whether it left.")
    reason: str = Field(description="Why not, or not yet.")
    attempts: int = Field(description="How often it was tried in vain.")
    created_at: datetime = Field(description="When it was written.")
    sent_at: datetime | None = Field(description="When it left.")


class NotificationDetail(Notification):
    """A notification with its message."""

    message: dict[str, Any] = Field(description="The message as the handler gets it.")


class Heard(Answer):
    """An entry of `notify` in config.yaml."""

    on: list[str] = Field(description="Events.")
    projects: list[str] = Field(description="Projects.")
    refs: list[str] = Field(description="Branches and tags.")
    severity: Literal["info", "warning", "error"] = Field(description="The least severity.")


class Handler(Answer):
    """Where notifications go. Its options may be secrets and are not shown."""

    name: str = Field(description="Its name.")
    kind: str = Field(description="Its kind.")
    hears: list[Heard] = Field(description="The operator's subscriptions; projects may add their own.")


class Audit(Answer):
    """Something that was asked for by API."""

    id: str = Field(description="Its id.")
    at: datetime = Field(description="When.")
    actor: str = Field(description="The name of the token; `loopback` where none is asked for.")
    action: str = Field(description="What, as `run.cancel`.")
    target: str = Field(description="Of what.")
    data: dict[str, Any] = Field(description="The request's own words.")


class DeliveryMade(Answer):
    """A sync was asked for, by a delivery as a forge makes them."""

    delivery: str = Field(description="The delivery's id; its outcome and syncs tell what came of it.")


class PlanMade(Answer):
    """A plan was asked for."""

    plan: str = Field(description="The plan's id.")


class RunMade(Answer):
    """A run was queued."""

    run: str = Field(description="The run's id.")


class CancelAsked(Answer):
    """The run was asked to end; its state tells when it has."""

    run: str = Field(description="The run's id.")


class ResendAsked(Answer):
    """The notification waits to be sent again."""

    notification: str = Field(description="The notification's id.")


class HandlerTested(Answer):
    """The test message left."""

    handler: str = Field(description="The handler.")
