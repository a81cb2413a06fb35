"""Schedules and fires."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from service.domain.projects import CatchUp
from service.domain.states import FireState
from service.web.api.answers.answer import Answer


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
