"""Deliveries."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from service.domain.states import DeliveryState, Outcome
from service.web.api.answers.answer import Answer
from service.web.api.answers.syncs import Sync


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


class DeliveryDetail(Delivery):
    """A delivery with the syncs that its push led to."""

    headers: dict[str, str] = Field(description="The request's headers, without credentials.")
    syncs: list[Sync] = Field(description="The syncs of its commit; their ids lead to the rest of the story.")


class DeliveryMade(Answer):
    """A sync was asked for, by a delivery as a forge makes them."""

    delivery: str = Field(description="The delivery's id; its outcome and syncs tell what came of it.")
