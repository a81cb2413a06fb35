"""What could not be made durable is answered with 503, and the forge's next try counts as the first."""

import contextlib
import json
import sqlite3

import pytest

from service import limits
from tests.unit.receiver.sample import payload


@contextlib.contextmanager
def locked(service):
    """Somebody else has the database's write lock."""
    connection = sqlite3.connect(service.settings.data_dir / "store.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def assert_not_acknowledged(answer):
    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Retry-After"] == "10"
    assert answer.json["detail"] == "The delivery could not be made durable, so it is not acknowledged"
    assert "delivery" not in answer.json


def test_a_store_that_cannot_write_gets_no_delivery_acknowledged_and_the_next_try_is_a_first_one(service):
    with locked(service):
        assert_not_acknowledged(service.send(payload("push"), delivery="d-1"))
        assert service.deliveries() == []
        assert service.wanted("fetch") == {}
    answer = service.send(payload("push"), delivery="d-1")
    assert (answer.status_code, answer.json["status"]) == (202, "accepted")


@pytest.mark.parametrize(("event", "content"), [("push", payload("push")), ("ping", payload("ping")), ("push", b"{}")])
def test_a_closed_store_acknowledges_nothing(service, event, content):
    service.store.close()
    assert_not_acknowledged(service.send(content, event))


def test_a_bad_signature_is_still_a_bad_signature(service):
    service.store.close()
    assert service.send(payload("push"), secret=b"guessed").status_code == 401


def test_a_spool_that_takes_nothing_gets_no_large_delivery_acknowledged(service):
    (service.settings.data_dir / "spool").write_text("in the way")
    body = json.dumps({**payload("push"), "padding": "x" * 2 * limits.MIB}).encode()
    assert_not_acknowledged(service.send(body))
    assert service.deliveries() == []
    assert service.send(payload("push")).status_code == 202


def test_a_large_body_whose_delivery_is_not_written_leaves_no_file(service):
    body = json.dumps({**payload("push"), "padding": "x" * 2 * limits.MIB}).encode()
    service.store.close()
    assert_not_acknowledged(service.send(body))
    assert list((service.settings.data_dir / "spool").iterdir()) == []


def test_a_store_that_is_away_is_seen_by_readyz_and_not_by_healthz(service):
    assert service.client.get("/readyz").status_code == 200
    service.store.close()
    answer = service.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["faults"] == {"store": "the store is closed"}
    assert service.client.get("/healthz").json == {"status": "ok"}
