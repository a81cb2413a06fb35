"""One process a data directory, made private, migrated, and freed of what a dead process held."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from service import limits
from service.errors import SettingsError, StoreUnavailable
from service.settings import Settings
from service.settings import Store as StoreSettings
from service.store import Store, migrations, open_store, work
from service.store.models import metadata
from tests.unit.store.waiting import waiting, want


def test_the_data_directory_is_for_the_service_alone(sqlite_settings: Settings) -> None:
    sqlite_settings.data_dir.mkdir(mode=0o755)
    open_store(sqlite_settings).close()
    assert stat.S_IMODE(sqlite_settings.data_dir.stat().st_mode) == 0o700


def test_a_second_opener_is_refused_with_the_holders_name_and_the_mend(sqlite_settings: Settings) -> None:
    first = open_store(sqlite_settings)
    with pytest.raises(StoreUnavailable) as refusal:
        open_store(sqlite_settings, wait_s=0.1)
    assert f"process {os.getpid()}" in refusal.value.what
    assert str(sqlite_settings.data_dir) in refusal.value.what
    assert "data_dir of its own" in refusal.value.mend
    assert "PostgreSQL" in refusal.value.mend
    first.write(lambda conn: conn.execute(text("SELECT 1")).scalar())
    first.close()


def test_a_second_opener_waits_for_the_first_to_end(sqlite_settings: Settings) -> None:
    first = open_store(sqlite_settings)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(open_store, sqlite_settings, wait_s=30)
        assert not second.done()
        first.close()
        second.result(30).close()


def test_a_killed_holder_leaves_nothing_to_clean(sqlite_settings: Settings) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.store.acking_writer", str(sqlite_settings.data_dir)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    with pytest.raises(StoreUnavailable, match=f"process {process.pid}"):
        open_store(sqlite_settings, wait_s=0)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    open_store(sqlite_settings, wait_s=0).close()


def test_a_child_process_does_not_hold_the_directory_after_its_parent(sqlite_settings: Settings) -> None:
    store = open_store(sqlite_settings)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    store.close()
    open_store(sqlite_settings, wait_s=0).close()
    child.communicate(b"\n", timeout=60)


def test_a_data_directory_that_cannot_be_made_is_told_with_its_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot be used") as refusal:
        open_store(Settings(data_dir=tmp_path / "file" / "data"))
    assert "data_dir" in refusal.value.mend


def test_a_damaged_database_is_told_as_such(sqlite_settings: Settings) -> None:
    sqlite_settings.data_dir.mkdir()
    (sqlite_settings.data_dir / "store.db").write_bytes(b"not a database, whatever else it may be" * 100)
    with pytest.raises(StoreUnavailable) as refusal:
        open_store(sqlite_settings)
    assert "backup" in refusal.value.mend
    (sqlite_settings.data_dir / "store.db").unlink()
    open_store(sqlite_settings, wait_s=0).close()


def test_a_database_of_another_kind_is_refused() -> None:
    with pytest.raises(SettingsError, match="mysql"):
        open_store(Settings(store=StoreSettings(url="mysql://localhost/x")))


@pytest.mark.postgres
def test_a_postgresql_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://nobody@/none?host={tmp_path}"
    with pytest.raises(StoreUnavailable, match="does not answer"):
        open_store(Settings(store=StoreSettings(url=url)))


def test_the_newest_step_is_told_as_alembic_tells_it() -> None:
    assert [migrations.newest()] == ScriptDirectory.from_config(migrations.config()).get_heads()


def test_a_start_on_sqlite_that_has_nothing_to_migrate_imports_neither_alembic_nor_psycopg(
    sqlite_settings: Settings,
) -> None:
    open_store(sqlite_settings).close()
    program = """if True:
        import sys
        from pathlib import Path
        from service.settings import Settings
        from service.store import open_store
        open_store(Settings(data_dir=Path(sys.argv[1]))).close()
        print(sorted({"alembic", "psycopg"} & sys.modules.keys()))
    """
    command = [sys.executable, "-c", program, str(sqlite_settings.data_dir)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "[]\n"


def test_migrations_lead_to_what_the_models_say(store: Store) -> None:
    def differences(conn: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(conn), metadata))

    assert store.write(differences) == []


def test_opening_again_keeps_what_is_there(settings: Settings) -> None:
    first = open_store(settings)
    first.write(lambda conn: work.want(conn, "fetch", "fraud", now=first.now()))
    first.close()
    second = open_store(settings)
    with second.read() as conn:
        assert [row.key for row in work.waiting(conn)] == ["fraud"]
    second.close()


def test_a_database_of_a_newer_version_is_refused(settings: Settings) -> None:
    store = open_store(settings)
    store.write(lambda conn: conn.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    store.write(lambda conn: conn.execute(text("UPDATE structure SET oldest = '9.0.0'")))
    store.close()
    with pytest.raises(StoreUnavailable, match="newer version"):
        open_store(settings, wait_s=0)


def test_two_services_that_start_together_on_postgresql_migrate_once(postgres_settings: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _n: open_store(postgres_settings), range(4)))
    for store in stores:
        store.close()


def test_leases_of_the_dead_process_are_free_at_once(sqlite_settings: Settings) -> None:
    first = open_store(sqlite_settings)
    now = first.now()
    first.write(lambda conn: work.want(conn, "sync", "fraud", now=now))
    claim = first.write(lambda conn: work.claim(conn, ["sync"], owner="dead", now=now, lease_s=3600))
    assert claim is not None
    first.close()

    second = open_store(sqlite_settings)
    taken = second.write(lambda conn: work.claim(conn, ["sync"], owner="living", now=second.now(), lease_s=60))
    assert taken is not None
    assert taken.key == "fraud"
    assert taken.fence > claim.fence
    second.close()


def test_what_a_dead_process_was_doing_is_due_at_once_also_when_it_is_wanted_for_later_too(
    sqlite_settings: Settings,
) -> None:
    first = open_store(sqlite_settings)
    now = first.now()
    want(first)
    first.write(lambda conn: work.claim(conn, ["sync"], owner="dead", now=now + 1, lease_s=3600))
    first.write(lambda conn: work.want(conn, "sync", "x", now=now, not_before=now + 200))
    first.close()

    second = open_store(sqlite_settings)
    with second.read() as conn:
        due = work.next_due(conn, ["sync"])
    assert due is not None
    assert due <= second.now()
    second.close()


def test_work_postponed_by_a_clock_that_was_set_back_since_is_due_and_a_schedule_stays(
    sqlite_settings: Settings,
) -> None:
    first = open_store(sqlite_settings)
    now = first.now()
    far = now + 100 * limits.BACKOFF_MAX_S
    first.write(lambda conn: work.want(conn, "launch", "run", now=now, not_before=far))
    first.write(lambda conn: work.want(conn, "sync", "soon", now=now, not_before=now + limits.BACKOFF_MAX_S / 2))
    first.write(lambda conn: work.want(conn, "poll", "fraud", now=now, not_before=far))
    first.close()

    second = open_store(sqlite_settings)
    with second.read() as conn:
        at = {row.kind: row.not_before for row in work.waiting(conn)}
    assert at["launch"] <= second.now()
    assert at["sync"] == now + limits.BACKOFF_MAX_S / 2
    assert at["poll"] == far
    second.close()


@pytest.mark.parametrize("wake", [want, Store.wake, Store.close])
def test_a_worker_that_waits_is_woken(sqlite_settings: Settings, wake: Callable[[Store], None]) -> None:
    store = open_store(sqlite_settings)
    with waiting(store, "sync") as worker:
        wake(store)
        worker.result(20)
    store.close()


def test_the_clock_goes_on_and_agrees_with_the_wall(store: Store) -> None:
    first = store.now()
    assert abs(first - time.time()) < 30
    assert store.now() >= first
