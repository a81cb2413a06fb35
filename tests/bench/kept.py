"""The proof that what was acknowledged is in the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from service import limits
from service.settings import load_settings
from service.store import deliveries, open_store, work
from tests.bench.figure import NotProven
from tests.bench.load import Came
from tests.peers.service_process import ServiceProcess


def prove_kept(service: ServiceProcess, repository: str, turns: Sequence[Came]) -> None:
    """Every push that was answered 202 is in the store, under the id that was told; and it made work. The service has ended, or shares its store."""
    told = {ours: theirs for came in turns for theirs, ours in came.acknowledged.items()}
    store = open_store(load_settings(service.config))
    try:
        with store.read() as connection:
            kept = dict(_kept(connection, repository))
            wanted = work.is_open(connection, "fetch", repository)
    finally:
        store.close()
    lost = {ours for ours, theirs in told.items() if kept.get(ours) != theirs}
    if lost or not wanted:
        raise NotProven(
            f"{len(lost)} of {len(told)} acknowledged pushes are not in the store; a fetch is wanted: {wanted}"
        )


def _kept(connection: Connection, repository: str) -> Iterator[tuple[str, str | None]]:
    cursor: str | None = None
    while True:
        rows, cursor = deliveries.page(connection, limit=limits.PAGE_MAX, cursor=cursor, repository=repository)
        yield from ((row.id, row.forge_id) for row in rows)
        if cursor is None:
            return
