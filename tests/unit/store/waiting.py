"""A thread that waits for work, as the service's do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from service.store import Found, Seek, Store, work
from service.store.waiters import Opening

LONG_S = 600.0


def seek(*kinds: str, **openings: Opening) -> Seek:
    return Seek(kinds=kinds, owner="me", lease_s=60, openings=openings)


def want(store: Store, kind: str = "sync", key: str = "x", **also: Any) -> None:
    store.write(lambda conn: work.want(conn, kind, key, now=store.now(), **also))


@contextmanager
def waiting(store: Store, *kinds: str, **openings: Opening) -> Iterator[Future[Found | None]]:
    """It waits when this begins, also on PostgreSQL until it is woken; whoever still waits when this ends is woken."""
    with ThreadPoolExecutor(1) as pool:
        worker = pool.submit(store.next_work, seek(*kinds, **openings), LONG_S)
        deadline = time.monotonic() + 20
        while not store._waiters._waiting:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        try:
            yield worker
        finally:
            store.wake()
