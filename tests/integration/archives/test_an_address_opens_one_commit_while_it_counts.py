from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.domain.projects import Resolved, Workflow
from service.domain.states import RunState
from service.log import configure_log
from service.reconciler.archives import archive_url, repository_of
from service.settings import Settings
from service.store import Store, open_store, projects, revisions, runs, syncs
from service.web import archives, problems
from tests.integration.source.conftest import Place
from tests.unit.store import rows


@dataclass
class Service:
    store: Store
    client: FlaskClient

    def address(self, project: str, commit: str) -> str:
        return archive_url(self.store, "", project, commit)

    def status(self, address: str) -> int:
        return self.client.get(address, buffered=True).status_code

    def save(self, project: str, commit: str, *, rollback: bool = False) -> None:
        """A revision of that commit is in force."""

        def change(conn: Any) -> None:
            projects.claim_name(conn, project, repository="fraud", path=project, ref=rows.MAIN, now=1.0)
            resolved = Resolved(name=project, project={}, workflows={"main": Workflow(name="main", engine="local")})
            revisions.put(conn, project=project, revision=commit[:8], commit=commit, resolved=resolved, now=1.0)
            sync = rows.sync(project=project, commit=commit, seq=projects.next_seq(conn, project))
            syncs.add(conn, sync)
            projects.put_in_force(conn, project, revision=commit[:8], sync=None if rollback else sync.id)

        self.store.write(change)

    def run(self, project: str, commit: str) -> str:
        run = rows.run(project=project, commit=commit)
        self.store.write(lambda conn: runs.add(conn, run))
        return run.id

    def end(self, run: str) -> None:
        self.store.write(lambda conn: runs.end(conn, run, RunState.SUCCEEDED, now=2.0, reason="done"))


@pytest.fixture
def service(place: Place, tmp_path: Path) -> Iterator[Service]:
    store = open_store(Settings(data_dir=tmp_path / "store"))
    app = Flask("archives")
    problems.register(app)
    app.register_blueprint(
        archives.blueprint(partial(repository_of, store), archives.Archives(place.source.archive, 4))
    )
    yield Service(store, app.test_client())
    store.close()


@pytest.fixture
def commits(place: Place) -> tuple[str, str]:
    """Two, one after the other."""
    found = place.push({"a": "1"}), place.push({"a": "2"})
    place.fetch()
    return found


def test_the_revision_in_force_can_be_read_and_then_the_next(service: Service, commits: tuple[str, str]) -> None:
    before, after = commits
    first, second = (service.address("demo", commit) for commit in commits)
    assert (service.status(first), service.status(second)) == (404, 404)
    service.save("demo", before)
    assert (service.status(first), service.status(second)) == (200, 404)
    service.save("demo", after)
    assert (service.status(first), service.status(second)) == (404, 200)
    service.save("demo", before, rollback=True)
    assert (service.status(first), service.status(second)) == (200, 404)


def test_a_run_keeps_its_commit_open_until_it_has_ended(service: Service, commits: tuple[str, str]) -> None:
    before, after = commits
    address = service.address("demo", before)
    service.save("demo", after)
    run = service.run("demo", before)
    assert service.status(address) == 200
    service.end(run)
    assert service.status(address) == 404


def test_nothing_else_is_read_through_an_address(service: Service, commits: tuple[str, str]) -> None:
    before, after = commits
    for project in ("demo", "other"):
        service.save(project, after)
    service.run("demo", before)
    good = service.address("demo", after)
    capability = good.split("/")[2]
    signature = capability.partition(".")[2]
    assert service.status(good) == 200
    wrong = [
        f"/archives/{capability}/{before}.tar.gz",
        f"/archives/other.{signature}/{after}.tar.gz",
        f"/archives/demo./{after}.tar.gz",
        f"/archives/demo/{after}.tar.gz",
        f"/archives/{capability[:-1]}/{after}.tar.gz",
        f"/archives/{capability}A/{after}.tar.gz",
        f"/archives/{capability}%00/{after}.tar.gz",
        f"/archives/%ff%fe.{signature}/{after}.tar.gz",
        f"/archives/{capability}/{after.upper()}.tar.gz",
        f"/archives/{capability}/{after[:12]}.tar.gz",
        f"/archives/{capability}/.tar.gz",
        f"/archives/{service.address('gone', after).split('/')[2]}/{after}.tar.gz",
    ]
    answers = [service.client.get(address) for address in wrong]
    assert {answer.status_code for answer in answers} == {404}
    assert (
        len({answer.get_json().get("detail") for answer in answers if answer.get_json().get("type") != "about:blank"})
        == 1
    )
    for address in (
        f"/archives/{capability}/../../store.db",
        f"/archives/{capability}/%2e%2e%2fstore.tar.gz",
        f"/archives/{capability}/{after}",
        f"/archives/{capability}/",
        "/archives/",
    ):
        assert service.status(address) == 404


def test_what_is_asked_is_what_is_sent(service: Service, commits: tuple[str, str]) -> None:
    service.save("demo", commits[0])
    address = service.address("demo", commits[0])
    whole = service.client.get(address, buffered=True)
    head = service.client.head(address)
    part = service.client.get(address, headers={"Range": "bytes=5-14"}, buffered=True)
    beyond = service.client.get(address, headers={"Range": "bytes=99999999-"}, buffered=True)
    known = service.client.get(address, headers={"If-None-Match": whole.headers["ETag"]}, buffered=True)
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert head.headers["Content-Length"] == str(len(whole.data))
    assert head.data == b""
    assert (part.status_code, part.data) == (206, whole.data[5:15])
    assert beyond.status_code == 416
    assert (known.status_code, known.data) == (304, b"")
    assert service.client.post(address).status_code == 405


def test_those_who_read_slowly_do_not_take_all_threads(service: Service, commits: tuple[str, str]) -> None:
    service.save("demo", commits[0])
    address = service.address("demo", commits[0])
    slow = service.client.get(address)  # one of four threads may send
    assert service.status(address) == 503
    slow.close()
    assert service.status(address) == 200
    for headers in ({"Range": "bytes=99999999-"}, {"If-None-Match": "*"}):
        service.client.get(address, headers=headers, buffered=True)
        service.client.head(address)
        assert service.status(address) == 200


def test_no_log_holds_an_address_that_opens_something(
    service: Service, commits: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    address = "https://gitops.example.com" + service.address("demo", commits[0])
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure_log()
        logging.getLogger("service.x").warning("could not read %s", address)
        try:
            raise ValueError(address)
        except ValueError:
            logging.getLogger("service.x").exception("failed")
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
    said = capsys.readouterr().err
    assert json.loads(said.splitlines()[0])["event"].endswith(f"/archives/***/{commits[0]}.tar.gz")
    assert address.split("/")[4] not in said
