"""Runs, what happened in them, and what they printed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from service.domain.projects import Concurrency
from service.domain.states import RunState
from service.web.api.answers.answer import Answer


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


class RunMade(Answer):
    """A run was queued."""

    run: str = Field(description="The run's id.")


class CancelAsked(Answer):
    """The run was asked to end; its state tells when it has."""

    run: str = Field(description="The run's id.")
