"""A disk that fills up refuses writes with a clear word; reads go on; with space again so do writes, in the same process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from service.errors import StoreUnavailable
from service.settings import Settings
from service.store import Store, deliveries, open_store
from tests.peers import present
from tests.unit.store.rows import delivery

SIZE = 6 * 1024 * 1024
BALLAST = 2 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few MiB."""
    where = tmp_path / "disk"
    where.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(where)], capture_output=True, check=False
    )
    if done.returncode:
        reason = f"peer missing: tmpfs: mounting one needs root ({done.stderr.decode().strip()})"
        if present.required("tmpfs", os.environ.get("REQUIRE_PEERS", "")):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    yield where
    subprocess.run(["umount", str(where)], check=True)


def fill(store: Store) -> tuple[set[str], StoreUnavailable]:
    """Write until the disk is full."""
    written: set[str] = set()
    for _ in range(SIZE // 1000):
        row = delivery(body=os.urandom(20_000))
        try:
            store.write(lambda conn, row=row: deliveries.add(conn, row))  # type: ignore[misc]  # mypy: lambda default
        except StoreUnavailable as error:
            return written, error
        written.add(row.id)
    raise AssertionError("the disk never became full")


def stored(store: Store) -> set[str]:
    with store.read() as conn:
        return set(conn.execute(text("SELECT id FROM deliveries")).scalars())


@pytest.mark.faults
def test_writes_are_refused_while_the_disk_is_full_and_go_on_afterwards(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * BALLAST)
    store = open_store(Settings(data_dir=small_disk / "data"))
    written, refusal = fill(store)
    assert written
    assert "full" in refusal.what
    assert "Free space" in refusal.mend
    assert refusal.retry
    assert stored(store) == written, "what can be read is what was acknowledged"
    with pytest.raises(StoreUnavailable):
        store.write(lambda conn: deliveries.add(conn, delivery(body=os.urandom(200_000))))

    ballast.unlink()
    after = delivery(body=os.urandom(20_000))
    assert store.write(lambda conn: deliveries.add(conn, after)) is True
    assert stored(store) == written | {after.id}
    store.close()

    again = open_store(Settings(data_dir=small_disk / "data"))
    assert stored(again) == written | {after.id}
    again.close()


@pytest.mark.faults
def test_a_disk_that_is_full_at_the_start_is_told_as_such(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(b"x" * (SIZE - 20_000))
    with pytest.raises(StoreUnavailable, match="cannot write: .*(full|I/O)"):
        open_store(Settings(data_dir=small_disk / "data"))
    (small_disk / "ballast").unlink()
    open_store(Settings(data_dir=small_disk / "data")).close()
