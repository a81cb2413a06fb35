"""`migrate`: the store's structure as `serve` would bring it up, without serving; for whoever updates several replicas."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import Settings
from service.settings import Store as StoreSettings
from service.store import open_store
from service.store.migrations import newest
from tests.integration.cli.conftest import alone
from tests.peers.postgres import Postgres


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    data_dir = {"GITOPS_DATA_DIR": str(tmp_path / "data")}
    if request.param == "sqlite":
        yield data_dir
        return
    with Postgres() as server, server.database() as url:
        yield {**data_dir, "GITOPS_STORE__URL": url}


def test_an_empty_store_is_brought_to_this_version_and_the_next_time_nothing_is_done(
    environment: dict[str, str], tmp_path: Path
) -> None:
    first = alone("migrate", at=tmp_path, environment=environment)
    assert first.code == 0, first.err
    assert f"empty → {newest()}" in first.out
    again = alone("migrate", "--json", at=tmp_path, environment=environment)
    assert (again.code, again.data["from"], again.data["to"]) == (0, newest(), newest())
    assert "tester@" not in first.out + again.out  # where PostgreSQL is stands in store.url, with its password
    assert alone("migrate", at=tmp_path, environment=environment).out.endswith(f"{newest()}, nothing to do\n")
    url = environment.get("GITOPS_STORE__URL")
    open_store(Settings(data_dir=tmp_path / "data", store=StoreSettings(url=url))).close()


def test_a_store_that_a_service_has_is_left_to_it(tmp_path: Path) -> None:
    store = open_store(Settings(data_dir=tmp_path / "data"))
    try:
        said = alone("migrate", at=tmp_path, environment={"GITOPS_DATA_DIR": str(tmp_path / "data")})
    finally:
        store.close()
    assert said.code == 1
    assert f"in use by process {os.getpid()}" in said.err


def test_a_store_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    environment = {"GITOPS_DATA_DIR": str(tmp_path / "data")}
    assert alone("migrate", at=tmp_path, environment=environment).code == 0
    with sqlite3.connect(tmp_path / "data/store.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE structure SET oldest = '9.0.0'")
    connection.close()
    said = alone("migrate", at=tmp_path, environment=environment)
    assert said.code == 1
    assert "written by a newer version" in said.err
    connection = sqlite3.connect(tmp_path / "data/store.db")
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
    connection.close()


def test_settings_that_are_wrong_are_bad_usage(tmp_path: Path) -> None:
    said = alone("migrate", at=tmp_path, environment={"GITOPS_STORE__URL": "mysql://u@h/d"})
    assert said.code == 2
