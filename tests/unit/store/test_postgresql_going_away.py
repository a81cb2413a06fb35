"""What only PostgreSQL can do to us: vanish and come back, and refuse two transactions that wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text

from service.errors import StoreUnavailable
from service.settings import Settings
from service.settings import Store as StoreSettings
from service.store import Store, database, deliveries, open_store, work
from tests.peers.postgres import Postgres
from tests.unit.store.rows import delivery
from tests.unit.store.waiting import LONG_S, seek, waiting

pytestmark = pytest.mark.postgres


@pytest.fixture
def postgres_store(postgres_settings: Settings) -> Iterator[Store]:
    opened = open_store(postgres_settings)
    yield opened
    opened.close()


@pytest.mark.faults
def test_a_server_that_crashes_refuses_with_a_clear_word_and_is_used_again_when_it_is_back(tmp_path: Path) -> None:
    with Postgres() as server, server.database() as url:
        store = open_store(Settings(data_dir=tmp_path, store=StoreSettings(url=url)))
        before, after = delivery(), delivery()
        store.write(lambda conn: deliveries.add(conn, before))
        server.stop()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            store.write(lambda conn: deliveries.add(conn, delivery()))
        with pytest.raises(StoreUnavailable, match="does not answer"), store.read() as conn:
            deliveries.get(conn, before.id)
        server.start()
        store.write(lambda conn: deliveries.add(conn, after))
        with store.read() as conn:
            assert [row.id for row in deliveries.page(conn)[0]] == [after.id, before.id]
        store.close()


def test_connections_that_ended_while_nobody_used_them_cost_nobody_an_answer(
    postgres_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_TRUSTED_S", 0.0)
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: postgres_store.write(lambda conn: deliveries.add(conn, delivery())), range(20)))
    with postgres_store.read() as conn:
        administrator = create_engine(conn.engine.url)
    with administrator.connect() as conn:
        assert conn.execute(text(others)).scalars().all()
    administrator.dispose()
    for _ in range(4):
        assert postgres_store.write(lambda conn: deliveries.add(conn, delivery())) is True


def test_changes_that_wait_for_each_other_both_happen(postgres_store: Store) -> None:
    store = postgres_store
    for key in ("a", "b"):
        store.write(lambda conn, key=key: work.want(conn, "sync", key, now=1.0))  # type: ignore[misc]  # mypy: lambda default
    both = threading.Barrier(2)
    tries: list[str] = []

    def change(conn: Connection, first: str, second: str) -> None:
        tries.append(first)
        work.want(conn, "sync", first, now=1.0)
        if len(tries) <= 2:
            both.wait(20)
        work.want(conn, "sync", second, now=1.0)

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(store.write, lambda conn: change(conn, "a", "b"))
        two = pool.submit(store.write, lambda conn: change(conn, "b", "a"))
        one.result(30)
        two.result(30)
    assert len(tries) == 3, "one of them was rolled back and run again"
    with store.read() as conn:
        assert [(row.key, row.wanted) for row in work.waiting(conn)] == [("a", 3), ("b", 3)]


def test_a_change_that_takes_too_long_is_cancelled_by_the_server(postgres_store: Store) -> None:
    def change(conn: Connection) -> None:
        conn.execute(text("SET LOCAL statement_timeout = 50"))
        conn.execute(text("SELECT pg_sleep(30)"))

    with pytest.raises(StoreUnavailable):
        postgres_store.write(change)
    assert postgres_store.write(lambda conn: deliveries.add(conn, delivery())) is True


def test_work_that_another_process_wants_is_seen_within_seconds(postgres_settings: Settings) -> None:
    mine, theirs = open_store(postgres_settings), open_store(postgres_settings)
    with waiting(mine, "sync") as worker:
        theirs.write(lambda conn: work.want(conn, "sync", "x", now=theirs.now()))
        found = worker.result(20) or mine.next_work(seek("sync"), LONG_S)
    assert found is not None
    assert found.claim.key == "x"
    mine.close()
    theirs.close()


def test_two_services_never_hold_the_same_work(postgres_settings: Settings) -> None:
    stores = [open_store(postgres_settings) for _ in range(2)]
    for number in range(40):
        stores[0].write(lambda conn, n=number: work.want(conn, "sync", f"k{n}", now=1.0))  # type: ignore[misc]  # mypy: lambda default
    taken: list[str] = []

    def labour(store: Store) -> None:
        while claim := store.write(lambda conn: work.claim(conn, ["sync"], owner="same", now=2.0, lease_s=60)):
            taken.append(claim.key)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(labour, stores * 3))
    assert sorted(taken) == sorted(f"k{number}" for number in range(40))
    for store in stores:
        store.close()
