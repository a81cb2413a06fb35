"""What only PostgreSQL can do to us: vanish and come back, and refuse two transactions that wait for each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from service.errors import StoreUnavailable
from service.settings import Settings
from service.settings import Store as StoreSettings
from service.store import Store, database, deliveries, front, open_store, work
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


def test_a_server_that_became_a_standby_is_left_for_the_one_that_takes_writes(postgres_store: Store) -> None:
    """A session that cannot write any more is what is left of a connection to it."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: postgres_store.write(lambda conn: deliveries.add(conn, delivery())), range(20)))

    def demoted(conn: Connection) -> None:
        conn.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
        conn.commit()
        conn.begin()
        deliveries.add(conn, delivery())

    with postgres_store.read() as conn:
        engine = conn.engine
    for _ in range(engine.pool.checkedin() + 1):  # type: ignore[attr-defined]  # of a QueuePool
        with engine.connect() as conn, pytest.raises(DBAPIError, match="read-only") as refused:
            demoted(conn)
        assert refused.value.connection_invalidated
        assert isinstance(database.unavailable(refused.value), StoreUnavailable)
        assert postgres_store.write(lambda conn: deliveries.add(conn, delivery())) is True


def test_a_server_that_is_a_standby_from_the_start_is_not_taken(tmp_path: Path) -> None:
    with Postgres() as server, server.database() as url:
        name = make_url(url).database
        administrator = create_engine(url, isolation_level="AUTOCOMMIT")
        open_store(Settings(data_dir=tmp_path, store=StoreSettings(url=url))).close()
        with administrator.connect() as conn:
            conn.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
        with pytest.raises(StoreUnavailable, match="read-only"):
            open_store(Settings(data_dir=tmp_path, store=StoreSettings(url=url)))
        chosen = make_url(url).update_query_dict({"target_session_attrs": "any"}).render_as_string(hide_password=False)
        open_store(Settings(data_dir=tmp_path, store=StoreSettings(url=chosen))).close()
        administrator.dispose()


def test_what_only_reads_and_tries_to_write_costs_no_connection(postgres_store: Store) -> None:
    with pytest.raises(StoreUnavailable), postgres_store.read() as conn:
        me = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
        deliveries.add(conn, delivery())
    with postgres_store.read() as conn:
        assert conn.execute(text("SELECT pg_backend_pid()")).scalar_one() == me


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


def test_who_waits_for_work_that_somebody_has_locked_rests_between_looks(postgres_settings: Settings) -> None:
    mine, theirs = open_store(postgres_settings), open_store(postgres_settings)
    mine.write(lambda conn: work.want(conn, "sync", "x", now=1.0))
    looks = 0

    def look_meanwhile(conn: Connection) -> None:
        nonlocal looks
        work.lock(conn, "sync", "x")
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            assert mine.next_work(seek("sync"), LONG_S) is None
            looks += 1

    theirs.write(look_meanwhile)
    assert 0 < looks <= 0.5 / front._LOCKED_S + 1
    assert mine.next_work(seek("sync"), LONG_S) is not None
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
