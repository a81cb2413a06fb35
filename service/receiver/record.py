"""A decision as rows: the delivery, and the work it asks for, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import Connection

from service.domain.states import DeliveryState
from service.receiver.decide import Decision
from service.settings import Repository
from service.store import deliveries, repositories, work
from service.store.deliveries import Delivery


def decided(row: Delivery, decision: Decision) -> Delivery:
    """`row` with what the decision says."""
    push = decision.push
    return replace(
        row,
        state=decision.state,
        reason=decision.reason,
        event=decision.event,
        forge_id=decision.forge_id,
        repository=decision.fetch[0].name if decision.fetch else None,
        ref=push.ref if push else None,
        before=push.before if push else None,
        after=push.after if push else None,
        pusher=push.pusher if push else None,
        parsed=decision.parsed,
    )


def add(connection: Connection, row: Delivery, fetch: Iterable[Repository], seen: Iterable[Repository]) -> Delivery:
    """The delivery and its work. A repeated one gets its label, and is worked for all the same. Returns the row as written."""
    if row.forge_id is not None and row.state is DeliveryState.ACCEPTED:
        earlier = deliveries.by_forge_id(connection, row.hook, row.forge_id)
        if earlier is not None:
            row = replace(row, state=DeliveryState.DUPLICATE, reason=f"seen before as {earlier.id}; {row.reason}")
    deliveries.add(connection, row)
    want_fetches(connection, fetch, now=row.received_at)
    if not row.parsed:
        work.want(connection, "parse", row.id, now=row.received_at)
    for repository in seen:
        repositories.record_delivery(connection, repository.name, url=repository.url, now=row.received_at)
    return row


def parsed(connection: Connection, row: Delivery, fetch: Iterable[Repository], *, now: float) -> bool:
    """What the body of an acknowledged delivery turned out to say. False when it was told before."""
    told = deliveries.record_parsed(
        connection,
        row.id,
        state=row.state,
        reason=row.reason,
        event=row.event,
        repository=row.repository,
        ref=row.ref,
        before=row.before,
        after=row.after,
        pusher=row.pusher,
    )
    if told:
        want_fetches(connection, fetch, now=now)
    return told


def want_fetches(connection: Connection, fetch: Iterable[Repository], *, now: float) -> None:
    for repository in fetch:
        work.want(connection, "fetch", repository.name, now=now)
