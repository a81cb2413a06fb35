"""Repositories and their refs."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from service.web.api.answers.answer import Answer


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
