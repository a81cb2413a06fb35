"""The commands by which the operator's guide backs a store up and restores it, as they stand there.

`kubectl` and `helm` are scripts here: `kubectl exec` carries out what stands behind `--` beside the store, as the container would, and
an upgrade with `maintenance=true` ends the service, one without starts it. Real are the verbs, the pipes, pg_dump and pg_restore.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from service.settings import Settings
from service.store import Store, deliveries, open_store
from tests.integration.guide.test_scripts_of_the_guide_do_what_it_says import scripts
from tests.peers.postgres import Postgres
from tests.peers.present import postgres_programs
from tests.unit.house.tree import HOUSE
from tests.unit.store.rows import delivery

_KUBECTL = """#!/bin/bash
echo "kubectl $*" >>{log}
case " $* " in *" exec "*) ;; *) exit 0;; esac
while [ "$1" != -- ]; do shift; done
shift 2  # and the program's name
PYTHONPATH={house} GITOPS_DATA_DIR={data} exec {python} -m service "$@"
"""
_HELM = """#!/bin/bash
echo "helm $*" >>{log}
"""
WRITTEN = 50


@dataclass
class Place:
    """A folder in which an operator types; the release's volume is its folder `data`."""

    folder: Path

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={**os.environ, **path, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @property
    def settings(self) -> Settings:
        return Settings(data_dir=self.folder / "data")

    @property
    def log(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "bin").mkdir()
    for name, text in (("kubectl", _KUBECTL), ("helm", _HELM)):
        program = tmp_path / "bin" / name
        program.write_text(
            text.format(log=tmp_path / "log", house=HOUSE, data=tmp_path / "data", python=sys.executable)
        )
        program.chmod(0o755)
    return Place(tmp_path)


def write(store: Store, count: int) -> list[str]:
    rows = [delivery() for _ in range(count)]
    for row in rows:
        store.write(partial(deliveries.add, delivery=row))
    return [row.id for row in rows]


def ids(store: Store) -> set[str]:
    with store.read() as connection:
        return {one.id for one in deliveries.page(connection, limit=1000)[0]}


def test_a_store_of_sqlite_is_copied_while_it_serves_destroyed_and_comes_back_whole(place: Place) -> None:
    backup, restore, *_ = (block.text for block in scripts("operators-guide.md"))
    with closing(open_store(place.settings)) as store:
        before = write(store, WRITTEN)
        writer = threading.Thread(target=write, args=(store, WRITTEN))
        writer.start()
        done = place.run(backup)
        writer.join()
    assert done.returncode == 0, done.stderr
    shutil.rmtree(place.settings.data_dir)  # the volume is lost
    done = place.run(restore)
    assert done.returncode == 0, done.stderr
    with closing(open_store(place.settings)) as store:
        assert set(before) <= ids(store)
    said = [line for line in place.log if "upgrade" in line]
    assert ["maintenance=true" in line for line in said] == [True, False]


def test_while_the_service_has_the_store_the_copy_is_refused(place: Place) -> None:
    backup, restore, *_ = (block.text for block in scripts("operators-guide.md"))
    with closing(open_store(place.settings)) as store:
        write(store, 1)
        assert place.run(backup).returncode == 0
        later = write(store, 1)
        done = place.run(restore)
        assert done.returncode != 0
        assert "in use by process" in done.stderr
        assert set(later) <= ids(store)


@pytest.fixture
def database() -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a database, and what pg_dump needs to find it as the guide writes."""
    with Postgres() as server, server.database() as url:
        yield url, _service(url)


def _service(url: str) -> dict[str, str]:
    parts = make_url(url)
    programs = postgres_programs()
    host: Any = parts.query["host"]
    return {
        "PGSERVICEFILE": f"{host}/service.conf",
        "PATH_OF_POSTGRES": str(programs),
        "TEXT": f"[gitops]\nhost={host}\ndbname={parts.database}\nuser={parts.username}\n",
    }


@pytest.mark.postgres
def test_a_store_of_postgres_is_dumped_while_it_serves_and_put_back(
    place: Place, database: tuple[str, dict[str, str]]
) -> None:
    url, environment = database
    Path(environment["PGSERVICEFILE"]).write_text(environment.pop("TEXT"))
    path = f"{environment.pop('PATH_OF_POSTGRES')}:{os.environ['PATH']}"
    _, _, dump, put_back = (block.text for block in scripts("operators-guide.md"))
    settings = Settings.model_validate({"data_dir": place.folder / "data", "store": {"url": url}})
    with closing(open_store(settings)) as store:
        before = write(store, WRITTEN)
        done = place.run(f"export PATH={path}\n{dump}", **environment)
        assert done.returncode == 0, done.stderr
        later = write(store, 1)
        with_more = ids(store)
    assert {*before, *later} == with_more
    done = place.run(f"export PATH={path}\n{put_back}", **environment)
    assert done.returncode == 0, done.stderr
    with closing(open_store(settings)) as store:
        assert ids(store) == set(before)
