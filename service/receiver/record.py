"""Decisions as rows: deliveries, and the work they ask for, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery that is to be written, with the repositories it makes fetched, and those whose "last seen" it moves."""

    row: Delivery
    fetch: tuple[Repository, ...]
    seen: tuple[Repository, ...]


def add_all(connection: Connection, arrivals: Sequence[Arrival]) -> list[Delivery]:
    """The deliveries and their work. A repeated one gets its label, and is worked for all the same. Returns them as written."""
    rows = _labelled(connection, [arrival.row for arrival in arrivals])
    deliveries.add_all(connection, rows)
    # One wish a repository: what is asked for twice in one transaction is one piece of work. In one order, since other replicas wait for the
    # same rows.
    fetches = {repository.name: repository for arrival in arrivals for repository in arrival.fetch}
    want_fetches(connection, (fetches[name] for name in sorted(fetches)), now=min(row.received_at for row in rows))
    for row in rows:
        if not row.parsed:
            work.want(connection, "parse", row.id, now=row.received_at)
    seen = {repository.name: (repository, arrival.row) for arrival in arrivals for repository in arrival.seen}
    for name in sorted(seen):
        repository, row = seen[name]
        repositories.record_delivery(connection, name, url=repository.url, now=row.received_at)
    return rows


def _labelled(connection: Connection, rows: Sequence[Delivery]) -> list[Delivery]:
    """`rows`, where one has come before, in the store or among them, with that said."""
    first: dict[tuple[str, str], str] = {}
    asked: dict[str, list[str]] = {}
    for row in rows:
        if row.forge_id is not None and row.state is DeliveryState.ACCEPTED:
            asked.setdefault(row.hook, []).append(row.forge_id)
    for hook, forge_ids in asked.items():
        known = deliveries.by_forge_ids(connection, hook, forge_ids)
        first |= {(hook, forge_id): own for forge_id, own in known.items()}
    return [_label(row, first.setdefault((row.hook, row.forge_id), row.id)) if row.forge_id else row for row in rows]


def _label(row: Delivery, first: str) -> Delivery:
    if first == row.id or row.state is not DeliveryState.ACCEPTED:
        return row
    return replace(row, state=DeliveryState.DUPLICATE, reason=f"seen before as {first}; {row.reason}")


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
