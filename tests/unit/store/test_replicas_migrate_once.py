"""On PostgreSQL one process brings the structure up to date while others wait or work; nobody is held up by it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from service import limits
from service.errors import StoreUnavailable
from service.settings import Settings
from service.store import Store, deliveries, migrations, open_store
from service.store.deliveries import Delivery
from tests.unit.store.rows import delivery
from tests.unit.store.steps import next_release

pytestmark = pytest.mark.postgres

WAIT_S = 60.0
# Notes which connection made what.
_WATCH = """
CREATE TABLE made (backend integer, what text);
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO made SELECT pg_backend_pid(), object_identity FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table';
END $$;
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION note();
"""
_REPLICA = """
import sys
from service.settings import Settings
from service.store import open_store
open_store(Settings.model_validate({"store": {"url": sys.stdin.read()}})).close()
"""
_COLUMN = "op.add_column('deliveries', sa.Column('priority', sa.Integer()))"


@pytest.fixture
def engine(postgres_settings: Settings) -> Iterator[Engine]:
    assert postgres_settings.store.url is not None
    made = create_engine(postgres_settings.store.url.get_secret_value(), isolation_level="AUTOCOMMIT")
    yield made
    made.dispose()


@pytest.fixture
def store(postgres_settings: Settings) -> Iterator[Store]:
    opened = open_store(postgres_settings)
    yield opened
    opened.close()


def test_three_replicas_that_start_together_migrate_once(engine: Engine, postgres_settings: Settings) -> None:
    assert postgres_settings.store.url is not None
    url = postgres_settings.store.url.get_secret_value()
    with engine.connect() as connection:
        connection.exec_driver_sql(_WATCH)
    replicas = [
        subprocess.Popen([sys.executable, "-c", _REPLICA], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(lambda one: one.communicate(url, timeout=WAIT_S)[1], replicas))
    assert [one.returncode for one in replicas] == [0, 0, 0], said
    with engine.connect() as connection:
        by = connection.execute(text("SELECT count(DISTINCT backend), count(DISTINCT what) FROM made")).one()
        tables = connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).scalar_one()
    assert tuple(by) == (1, tables - 1), "one made all of them, but for the table that counts"


def test_who_waits_goes_on_when_the_one_that_migrates_is_killed(engine: Engine, postgres_settings: Settings) -> None:
    with ThreadPoolExecutor(1) as pool, engine.connect() as other:
        pid = other.execute(text("SELECT pg_backend_pid(), pg_advisory_lock(:lock)"), {"lock": migrations._LOCK}).one()[
            0
        ]
        waiting = pool.submit(open_store, postgres_settings)
        with pytest.raises(TimeoutError):
            waiting.result(1)
        with engine.connect() as killer:
            killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        other.invalidate()
        waiting.result(WAIT_S).close()


def test_one_that_never_comes_to_an_end_is_told(
    engine: Engine, postgres_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MIGRATION_PATIENCE_S", 0.1)
    with engine.connect() as other:
        other.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": migrations._LOCK})
        with pytest.raises(StoreUnavailable, match="another process is bringing the database's structure up to date"):
            open_store(postgres_settings)


@contextmanager
def acknowledging(store: Store) -> Iterator[list[float]]:
    """Deliveries are written all the time, as a replica of this release does it; how long each took. They are all there afterwards."""
    took: list[float] = []
    written: list[str] = []
    over = threading.Event()

    def acknowledge(row: Delivery) -> None:
        begun = time.monotonic()
        assert store.write(lambda connection: deliveries.add(connection, row))
        written.append(row.id)
        took.append(time.monotonic() - begun)

    def serve() -> None:
        while not over.is_set():
            acknowledge(delivery())

    with ThreadPoolExecutor(2) as pool:
        replicas = [pool.submit(serve) for _ in range(2)]
        try:
            yield took
        finally:
            over.set()
        for one in replicas:
            one.result(WAIT_S)
    with store.read() as connection:
        kept = set(connection.execute(text("SELECT id FROM deliveries")).scalars())
    assert set(written) <= kept
    assert written


def test_a_replica_works_on_while_the_next_release_migrates_and_after(
    store: Store, postgres_settings: Settings, tmp_path: Path
) -> None:
    index = "beside.create_index('ix_deliveries_pusher', 'deliveries', ['pusher'])"
    table = "op.create_table('fresh', sa.Column('id', sa.Integer(), primary_key=True))"
    with acknowledging(store) as took:
        with next_release(tmp_path, table, _COLUMN, index) as newest:
            open_store(postgres_settings).close()
        before = len(took)
        deadline = time.monotonic() + WAIT_S
        while len(took) < before + 10 and time.monotonic() < deadline:
            time.sleep(0.01)
    with store.read() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == newest
        valid = text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_deliveries_pusher'::regclass")
        assert connection.execute(valid).scalar_one() is True


def test_a_step_that_waits_for_a_table_lets_others_at_it(
    store: Store, engine: Engine, postgres_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while pg_dump reads: a step that stood in line would have everybody wait behind it until the dump is over."""
    monkeypatch.setattr(limits, "MIGRATION_LOCK_MS", 100)
    with next_release(tmp_path, _COLUMN), ThreadPoolExecutor(1) as pool:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as dump:
            dump.execute(text("SELECT count(*) FROM deliveries"))
            migrating = pool.submit(open_store, postgres_settings)
            with acknowledging(store) as took, pytest.raises(TimeoutError):
                migrating.result(1)
        migrating.result(WAIT_S).close()
    assert max(took) < limits.STORE_WRITE_TIMEOUT_S / 2


def test_an_index_whose_making_was_cut_off_is_made_again(
    store: Store, engine: Engine, postgres_settings: Settings, tmp_path: Path
) -> None:
    for _ in range(2):
        store.write(lambda connection: deliveries.add(connection, delivery(pusher="ada")))
    with engine.connect() as connection, pytest.raises(Exception, match="could not create unique index"):
        connection.exec_driver_sql("CREATE UNIQUE INDEX CONCURRENTLY ix_deliveries_pusher ON deliveries (pusher)")
    with next_release(tmp_path, "beside.create_index('ix_deliveries_pusher', 'deliveries', ['pusher'])"):
        open_store(postgres_settings).close()
    with engine.connect() as connection:
        found = text("SELECT indisvalid, indisunique FROM pg_index WHERE indexrelid = 'ix_deliveries_pusher'::regclass")
        assert tuple(connection.execute(found).one()) == (True, False)
