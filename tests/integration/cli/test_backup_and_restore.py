"""`backup` and `restore`: one whole moment of a store at work, and never half of one in a store's place."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from service.settings import Settings
from service.store import deliveries, open_store
from tests.integration.cli.conftest import ROOT, alone
from tests.unit.store.rows import delivery

WRITTEN_WHILE_COPIED = 300


def piped(verb: str, folder: Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The verb as in a pipe, which is how a cluster's `exec` runs it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GITOPS_DATA_DIR": str(folder / "data")}
    words = [sys.executable, "-m", "service", verb]
    return subprocess.run(words, cwd=folder, env=environment, input=given, capture_output=True, timeout=60, check=False)


def found(folder: Path) -> set[str]:
    with closing(open_store(Settings(data_dir=folder / "data"))) as store, store.read() as connection:
        return {one.id for one in deliveries.page(connection, limit=1000)[0]}


def written(folder: Path, count: int = 1) -> list[str]:
    rows = [delivery() for _ in range(count)]
    with closing(open_store(Settings(data_dir=folder / "data"))) as store:
        for row in rows:
            store.write(partial(deliveries.add, delivery=row))
    return [row.id for row in rows]


def test_a_copy_of_a_store_at_work_is_one_moment_of_it(tmp_path: Path) -> None:
    rows = [delivery() for _ in range(WRITTEN_WHILE_COPIED)]
    with closing(open_store(Settings(data_dir=tmp_path / "data"))) as store:

        def write() -> None:
            for row in rows:
                store.write(partial(deliveries.add, delivery=row))

        writer = threading.Thread(target=write)
        writer.start()
        done = piped("backup", tmp_path)
        writer.join()
    assert done.returncode == 0, done.stderr
    (tmp_path / "elsewhere").mkdir()
    assert piped("restore", tmp_path / "elsewhere", done.stdout).returncode == 0
    there = found(tmp_path / "elsewhere")
    kept = [row.id in there for row in rows]
    assert kept == sorted(kept, reverse=True), "what one writer wrote is there up to a moment, and nothing after it"
    assert found(tmp_path) == {row.id for row in rows}
    assert not list((tmp_path / "data").glob("copy-*"))


def test_a_store_that_was_lost_comes_back(tmp_path: Path) -> None:
    before = written(tmp_path, 5)
    assert alone("backup", "kept.db", at=tmp_path, environment=where(tmp_path)).code == 0
    assert (tmp_path / "kept.db").stat().st_mode & 0o077 == 0, "it holds the keys that capabilities are signed with"
    later = written(tmp_path)
    (tmp_path / "data/store.db").write_bytes(b"a disk that was damaged")
    said = alone("restore", "kept.db", at=tmp_path, environment=where(tmp_path))
    assert said.code == 0, said.err
    assert found(tmp_path) == set(before)
    assert not set(later) & found(tmp_path)


def where(folder: Path) -> dict[str, str]:
    return {"GITOPS_DATA_DIR": str(folder / "data")}


def test_what_is_replaced_stays_beside_with_all_that_it_held(tmp_path: Path) -> None:
    written(tmp_path)
    copy = piped("backup", tmp_path).stdout
    later = written(tmp_path)
    assert piped("restore", tmp_path, copy).returncode == 0
    with closing(sqlite3.connect(tmp_path / "data/store.db.replaced")) as connection:
        assert later[0] in {row[0] for row in connection.execute("SELECT id FROM deliveries")}
    assert later[0] not in found(tmp_path)


def test_a_store_that_a_service_has_is_not_replaced(tmp_path: Path) -> None:
    kept = written(tmp_path)
    copy = piped("backup", tmp_path).stdout
    with closing(open_store(Settings(data_dir=tmp_path / "data"))):
        done = piped("restore", tmp_path, copy)
    assert done.returncode == 1
    assert f"in use by process {os.getpid()}".encode() in done.stderr
    assert found(tmp_path) == set(kept)


@pytest.mark.parametrize("spoil", ["nothing", "text", "half", "no store", "newer", "damaged"])
def test_what_is_no_whole_copy_changes_nothing(tmp_path: Path, spoil: str) -> None:
    kept = written(tmp_path, 50)
    copy = spoiled(piped("backup", tmp_path).stdout, spoil, tmp_path)
    done = piped("restore", tmp_path, copy)
    assert done.returncode == 1, done.stderr
    assert b"cop" in done.stderr
    assert b"Traceback" not in done.stderr
    assert found(tmp_path) == set(kept)
    assert not list((tmp_path / "data").glob("copy-*"))


def spoiled(copy: bytes, how: str, folder: Path) -> bytes:
    file = folder / "spoiled.db"
    match how:
        case "nothing":
            return b""
        case "text":
            return b"no backup at all\n" * 1000
        case "half":
            return copy[: len(copy) // 2]
        case "damaged":
            return copy[:20000] + bytes(8192) + copy[28192:]
        case "no store":
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("CREATE TABLE x (y)")
        case _:
            file.write_bytes(copy)
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("UPDATE alembic_version SET version_num = '9999'")
                connection.commit()
    return file.read_bytes()


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_a_store_of_postgres_is_left_to_its_own_tools(tmp_path: Path, verb: str) -> None:
    (tmp_path / "x.db").touch()
    said = alone(verb, "x.db", at=tmp_path, environment={"GITOPS_STORE__URL": "postgresql+psycopg://u@h/d"})
    assert said.code == 2
    assert "pg_dump" in said.err


def test_a_store_that_is_not_there_is_said(tmp_path: Path) -> None:
    said = alone("backup", "x.db", at=tmp_path, environment=where(tmp_path))
    assert said.code == 1
    assert "store.db is not there" in said.err
    assert not (tmp_path / "x.db").exists()
    assert not list(tmp_path.glob(".x.db*"))


@pytest.mark.parametrize(("verb", "file"), [("backup", "no/such/folder/x.db"), ("restore", "nothing.db")])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, verb: str, file: str) -> None:
    written(tmp_path)
    said = alone(verb, file, at=tmp_path, environment=where(tmp_path))
    assert said.code == 1
    assert "Traceback" not in said.err
    assert f"{Path(file).name}" in said.err
    assert "No such file or directory" in said.err
