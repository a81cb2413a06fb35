"""Raw webhooks, what was decided about each, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from service import limits
from service.domain.states import DeliveryState, Outcome
from service.store.models import deliveries as table
from service.store.sql import Rows, among, known


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """`body` is None where it lies in `spool`, and in everything but `get`."""

    id: str
    hook: str
    forge: str
    received_at: float
    state: DeliveryState
    reason: str = ""
    forge_id: str | None = None
    event: str | None = None
    repository: str | None = None
    ref: str | None = None
    before: str | None = None
    after: str | None = None
    pusher: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    size: int = 0
    body: bytes | None = None
    spool: str | None = None
    parsed: bool = True
    outcome: Outcome | None = None
    outcome_reason: str | None = None
    outcome_at: float | None = None


_rows = Rows(table, Delivery, json=["headers"], clip=["pusher", "event", "forge_id"], heavy=["body"])


@cache
def _earliest(dialect: str) -> Select[Any]:
    """Asked at every acknowledgement: made once."""
    asked = among(dialect, table.c.forge_id, "of_ids")
    return (
        select(table.c.forge_id, func.min(table.c.id))
        .where(table.c.hook == bindparam("of_hook"), asked)
        .group_by(table.c.forge_id)
    )


def add(connection: Connection, delivery: Delivery) -> bool:
    """False when this id is there already."""
    return _rows.add(connection, delivery)


def add_all(connection: Connection, rows: Iterable[Delivery]) -> None:
    """One that is there already is passed over."""
    _rows.add_all(connection, rows)


def get(connection: Connection, delivery_id: str) -> Delivery:
    """Raises NotFound."""
    return known(find(connection, delivery_id), f"delivery {delivery_id}")


def find(connection: Connection, delivery_id: str) -> Delivery | None:
    return _rows.find(connection, whole=True, id=delivery_id)


def by_forge_ids(connection: Connection, hook: str, forge_ids: Iterable[str]) -> dict[str, str]:
    """Forge's id → ours, of the first delivery that the forge sent under it; a later one is labelled `duplicate`."""
    asked = {_rows.value("forge_id", forge_id): forge_id for forge_id in forge_ids}
    found = connection.execute(_earliest(connection.dialect.name), {"of_hook": hook, "of_ids": list(asked)})
    return {asked[forge_id]: first for forge_id, first in found}


def page(
    connection: Connection,
    *,
    limit: int = limits.PAGE_DEFAULT,
    cursor: str | None = None,
    hook: str | None = None,
    repository: str | None = None,
    ref: str | None = None,
    state: DeliveryState | None = None,
    outcome: Outcome | None = None,
) -> tuple[list[Delivery], str | None]:
    return _rows.page(
        connection, limit=limit, cursor=cursor, hook=hook, repository=repository, ref=ref, state=state, outcome=outcome
    )


def open_for(connection: Connection, repository: str) -> list[Delivery]:
    """Acknowledged (a duplicate is only a label) and still without an outcome, oldest first."""
    acknowledged = [DeliveryState.ACCEPTED, DeliveryState.DUPLICATE]
    return _rows.those(connection, "id", repository=repository, outcome=None, state=acknowledged)


def record_parsed(
    connection: Connection,
    delivery_id: str,
    *,
    state: DeliveryState,
    reason: str = "",
    event: str | None = None,
    repository: str | None = None,
    ref: str | None = None,
    before: str | None = None,
    after: str | None = None,
    pusher: str | None = None,
) -> bool:
    """What a body that was accepted unparsed turned out to say; it is not kept then. False when it was told before."""
    values: dict[str, Any] = {
        "state": state,
        "reason": reason,
        "event": event,
        "repository": repository,
        "ref": ref,
        "before": before,
        "after": after,
        "pusher": pusher,
    }
    return _rows.set(connection, {"id": delivery_id, "parsed": False}, parsed=True, body=None, **values) == 1


def set_outcome(connection: Connection, delivery_id: str, outcome: Outcome, reason: str, *, now: float) -> bool:
    """A delivery ends in one outcome: False when it had one."""
    open_ = {"id": delivery_id, "outcome": None}
    return _rows.set(connection, open_, outcome=outcome, outcome_reason=reason, outcome_at=now) == 1
