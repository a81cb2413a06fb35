"""What the API is asked, as types: paths, queries and bodies. What they do not know is refused."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service import limits
from service.domain.events import Topic
from service.domain.states import DeliveryState, NotificationState, Outcome, RunState, SyncState

LOG_WAIT_MAX_S = 25.0


def _plain_text(value: str) -> str:
    """JSON can say what no text can: half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("is no text") from None
    return value


def _plain_json(value: dict[str, Any]) -> dict[str, Any]:
    """As the store will give it back; what comes back as something else (NaN, infinity) is refused."""
    try:
        same = msgspec.json.decode(msgspec.json.encode(value)) == value
    except (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError):
        same = False
    if not same:
        raise ValueError("holds what is no JSON: NaN, infinity or half a character")
    return value


Text = Annotated[str, AfterValidator(_plain_text)]
Arguments = Annotated[dict[str, Any], AfterValidator(_plain_json)]


class Ask(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IdPath(Ask):
    id: Text = Field(max_length=64, description="The id.")


class NamePath(Ask):
    name: Text = Field(max_length=200, description="The name.")


class RevisionPath(NamePath):
    id: Text = Field(max_length=64, description="The revision's id.")


class PlanPath(NamePath):
    id: Text = Field(max_length=64, description="The plan's id.")


class PageQuery(Ask):
    limit: int = Field(
        default=limits.PAGE_DEFAULT, ge=1, le=limits.PAGE_MAX, description="How many entries the page may have."
    )
    cursor: Text | None = Field(default=None, max_length=200, description="`next` of the page before.")


class DeliveriesQuery(PageQuery):
    repository: Text | None = Field(default=None, max_length=200, description="Only of this repository.")
    hook: Text | None = Field(default=None, max_length=200, description="Only those that came to this address.")
    ref: Text | None = Field(default=None, max_length=255, description="Only of this full ref.")
    state: DeliveryState | None = Field(default=None, description="Only in this state.")
    outcome: Outcome | None = Field(default=None, description="Only with this outcome.")


class ProjectsQuery(PageQuery):
    repository: Text | None = Field(default=None, max_length=200, description="Only of this repository.")
    ref: Text | None = Field(default=None, max_length=255, description="Only of this full ref.")


class SyncsQuery(PageQuery):
    project: Text | None = Field(default=None, max_length=63, description="Only of this project.")
    repository: Text | None = Field(default=None, max_length=200, description="Only of this repository.")
    ref: Text | None = Field(default=None, max_length=255, description="Only of this full ref.")
    commit: Text | None = Field(default=None, max_length=64, description="Only to this commit.")
    state: SyncState | None = Field(default=None, description="Only in this state.")


class RunsQuery(PageQuery):
    project: Text | None = Field(default=None, max_length=63, description="Only of this project.")
    workflow: Text | None = Field(default=None, max_length=200, description="Only of this workflow.")
    state: RunState | None = Field(default=None, description="Only in this state.")
    sync: Text | None = Field(default=None, max_length=26, description="Only those that this sync planned.")
    schedule: Text | None = Field(default=None, max_length=26, description="Only those that this schedule fired.")
    repository: Text | None = Field(default=None, max_length=200, description="Only of this repository.")
    ref: Text | None = Field(default=None, max_length=255, description="Only of this full ref.")
    commit: Text | None = Field(default=None, max_length=64, description="Only of this commit.")


class EventsQuery(Ask):
    after: int = Field(default=-1, ge=-1, le=2**62, description="Only those behind this position.")
    limit: int = Field(
        default=limits.PAGE_MAX, ge=1, le=limits.PAGE_MAX, description="How many entries the answer may have."
    )


class LogQuery(Ask):
    offset: int = Field(default=0, ge=0, le=2**62, description="The byte to begin at.")
    wait: float = Field(
        default=0.0,
        ge=0,
        le=LOG_WAIT_MAX_S,
        description="How many seconds to wait for something new, if there is nothing yet: to follow a run, ask again "
        "and again with `next_offset` until the answer is `complete`.",
    )


class SchedulesQuery(PageQuery):
    project: Text | None = Field(default=None, max_length=63, description="Only of this project.")
    workflow: Text | None = Field(default=None, max_length=200, description="Only of this workflow.")
    name: Text | None = Field(default=None, max_length=200, description="Only of this name.")
    removed: bool = Field(default=False, description="Also those that were removed.")


class NotificationsQuery(PageQuery):
    handler: Text | None = Field(default=None, max_length=64, description="Only to this handler.")
    event: Topic | None = Field(default=None, description="Only of this event.")
    project: Text | None = Field(default=None, max_length=63, description="Only about this project.")
    run: Text | None = Field(default=None, max_length=26, description="Only about this run.")
    sync: Text | None = Field(default=None, max_length=26, description="Only about this sync.")
    state: NotificationState | None = Field(default=None, description="Only in this state.")


class AuditQuery(PageQuery):
    actor: Text | None = Field(default=None, max_length=100, description="Only by this token.")
    action: Text | None = Field(default=None, max_length=64, description="Only this action.")
    target: Text | None = Field(default=None, max_length=255, description="Only to this target.")


class RunBody(Ask):
    """A workflow to run, with the revision in force."""

    workflow: Text = Field(min_length=1, max_length=200, description="The workflow's name in the project.")
    arguments: Arguments = Field(default_factory=dict, description="Its arguments; they go over the configured ones.")


class PlanBody(Ask):
    """The push to plan."""

    ref: Text | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        description="A branch, tag, full ref or whole commit id; without it the tip of the project's ref. "
        "What no project is bound to is planned as if it came to the project's ref.",
    )


class SyncBody(Ask):
    """What to sync."""

    ref: Text | None = Field(
        default=None, max_length=255, description="A branch, tag or full ref; without it every ref that moved."
    )
