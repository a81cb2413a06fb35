"""Syncs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from service.domain.plan import Cause
from service.domain.states import SyncState
from service.web.api.answers.answer import Answer, Failure
from service.web.api.answers.runs import Run


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


class SyncDetail(Sync):
    """A sync with its plan and its runs."""

    plan: dict[str, Any] | None = Field(description="What it decided to do and why; null before it was planned.")
    runs: list[Run] = Field(description="The runs that it planned, oldest first.")
