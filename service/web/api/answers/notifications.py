"""Notifications and who hears them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from service.domain.events import Topic
from service.domain.states import NotificationState
from service.web.api.answers.answer import Answer


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


class ResendAsked(Answer):
    """The notification waits to be sent again."""

    notification: str = Field(description="The notification's id.")


class HandlerTested(Answer):
    """The test message left."""

    handler: str = Field(description="The handler.")
