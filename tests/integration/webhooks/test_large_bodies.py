"""Bodies over 1 MiB are acknowledged first, on disk, and read afterwards; over 25 MiB nobody reads them."""

import json
import os
import time

import pytest
from sqlalchemy import Connection
from werkzeug.test import TestResponse, create_environ, run_wsgi_app
from werkzeug.wrappers import Request

from service import limits
from service.receiver import unpack
from service.receiver.spool import ORPHAN_AGE_S
from tests.unit.receiver.sample import changed, payload


def large(content=None, size=2 * limits.MIB) -> bytes:
    return json.dumps({**(content or payload("push")), "padding": "x" * size}).encode()


def spooled(service):
    folder = service.settings.data_dir / "spool"
    return sorted(f.name for f in folder.iterdir()) if folder.exists() else []


def test_a_large_body_is_acknowledged_unparsed_and_spooled(service):
    body = large()
    answer = service.send(body, delivery="d-1")
    assert answer.status_code == 202
    assert answer.json["reason"] == f"its {len(body)} bytes are parsed after they were acknowledged"
    delivery = service.delivery(answer)
    assert (delivery.parsed, delivery.body, delivery.repository, delivery.event) == (False, None, None, "push")
    assert spooled(service) == [delivery.spool]
    assert service.wanted("parse") == {delivery.id: 1}
    assert service.wanted("fetch") == {}


def test_parsing_it_tells_what_it_says_wants_the_fetch_and_frees_the_disk(service):
    delivery_id = service.send(large()).json["delivery"]
    finished: list[Connection] = []
    service.intake.parse_spooled(delivery_id, also=finished.append)
    delivery = service.delivery_of(delivery_id)
    assert (delivery.parsed, delivery.state, delivery.repository) == (True, "accepted", "fraud")
    assert (delivery.ref, delivery.pusher) == ("refs/heads/main", "ada")
    assert delivery.reason == "fraud is fetched for main"
    assert service.wanted("fetch") == {"fraud": 1}
    assert spooled(service) == []
    assert len(finished) == 1


def test_parsing_it_twice_changes_nothing_more(service):
    delivery_id = service.send(large()).json["delivery"]
    finished: list[Connection] = []
    for _ in range(2):
        service.intake.parse_spooled(delivery_id, also=finished.append)
    assert service.wanted("fetch") == {"fraud": 1}
    assert len(finished) == 2


def test_when_parsing_cannot_be_written_the_body_stays(service):
    delivery_id = service.send(large()).json["delivery"]

    def fail(_):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        service.intake.parse_spooled(delivery_id, also=fail)
    assert service.delivery_of(delivery_id).parsed is False
    assert len(spooled(service)) == 1
    service.intake.parse_spooled(delivery_id)
    assert service.delivery_of(delivery_id).parsed is True


def test_a_large_duplicate_stays_one(service):
    first = service.send(payload("push"), delivery="d-1")
    answer = service.send(large(), delivery="d-1")
    assert answer.json["status"] == "duplicate"
    service.intake.parse_spooled(answer.json["delivery"])
    assert service.delivery(answer).state == "duplicate"
    assert service.delivery(first).state == "accepted"
    assert service.wanted("fetch") == {"fraud": 2}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (changed("push", "ref", "--upload-pack"), "The ref '--upload-pack' is no branch"),
        (changed("push", "repository", None), "at `$.repository`"),
    ],
)
def test_a_large_body_that_makes_no_sense_is_rejected_where_it_is_read(service, content, reason):
    answer = service.send(large(content))
    assert answer.status_code == 202
    service.intake.parse_spooled(answer.json["delivery"])
    delivery = service.delivery(answer)
    assert delivery.state == "rejected"
    assert reason in delivery.reason
    assert service.wanted("fetch") == {}
    assert [told.id for told in service.told] == [delivery.id]


def test_a_spooled_body_that_is_lost_still_leads_to_a_fetch(service):
    answer = service.send(large())
    (name,) = spooled(service)
    (service.settings.data_dir / "spool" / name).write_bytes(b"damaged")
    service.intake.parse_spooled(answer.json["delivery"])
    delivery = service.delivery(answer)
    assert (delivery.state, delivery.reason) == (
        "rejected",
        "its spooled body is lost; whatever it may have meant is fetched",
    )
    assert service.wanted("fetch") == {"fraud": 1}


def test_a_large_body_with_a_bad_signature_touches_no_disk(service):
    assert service.send(large(), secret=b"guessed").status_code == 401
    assert spooled(service) == []


def test_a_start_sweeps_what_belongs_to_no_delivery(make_service):
    service = make_service()
    answer = service.send(large())
    folder = service.settings.data_dir / "spool"
    old = time.time() - ORPHAN_AGE_S - 60
    for name in ("0orphan.body.z", "1young.body.z", "other"):
        (folder / name).write_bytes(b"")
    for name in ("0orphan.body.z", "other", service.delivery(answer).spool):
        os.utime(folder / name, (old, old))
    make_service(service.store)
    assert spooled(service) == sorted(["1young.body.z", "other", service.delivery(answer).spool])


def test_a_body_of_a_few_hundred_kib_is_kept_compressed(service):
    body = large(size=300 * limits.KIB)
    delivery = service.delivery(service.send(body))
    assert delivery.parsed
    assert len(delivery.body) < len(body) / 10
    assert unpack(delivery.body, delivery.size) == body


def test_over_the_cap_by_its_announcement_is_413_before_a_byte_is_read(service):
    source = _Source(b"")
    answer = feed(service, source, CONTENT_LENGTH=str(limits.WEBHOOK_BODY_BYTES + 1))
    assert answer.status_code == 413
    assert answer.json["detail"] == "The body is larger than 25 MiB"
    assert source.given == 0


def test_over_the_cap_without_an_announcement_is_413_as_soon_as_it_is_over(service):
    source = _Source(None)
    answer = feed(service, source, HTTP_TRANSFER_ENCODING="chunked")
    assert answer.status_code == 413
    assert limits.WEBHOOK_BODY_BYTES < source.given < limits.WEBHOOK_BODY_BYTES + limits.MIB


def test_a_body_that_ends_early_is_400(service):
    body = json.dumps(payload("push")).encode()
    answer = feed(service, _Source(body[:-10]), CONTENT_LENGTH=str(len(body)))
    assert answer.status_code == 400
    assert answer.json["detail"] == f"The body ended after {len(body) - 10} of {len(body)} bytes"


def test_large_bodies_may_not_hold_all_the_memory_and_small_ones_get_through(service):
    """Five are read at once, each from inside the one before; then a sixth comes, and a small one."""
    body = b"x" * limits.WEBHOOK_BODY_BYTES
    answers = []

    def read_another(count):
        source = _Source(body, at_end=lambda: meanwhile(count))
        answers.append(feed(service, source, CONTENT_LENGTH=str(len(body))))

    def meanwhile(count):
        if count <= 5:
            read_another(count + 1)
        if count == 5:
            answers.append(service.send(payload("push")))

    read_another(1)
    assert [a.status_code for a in answers] == [503, 202, 401, 401, 401, 401, 401]
    assert answers[0].json["detail"] == "Too many large webhooks at once"
    assert answers[0].headers["Retry-After"] == "10"
    assert service.send(large()).status_code == 202


def feed(service, source, **environ):
    """A request whose body is `source`, as a server that streams hands it over."""
    plain = create_environ("/webhooks/github/fraud", method="POST", content_type="application/json")
    plain |= {"wsgi.input": source, "wsgi.input_terminated": True, "HTTP_X_GITHUB_EVENT": "push", **environ}
    return TestResponse(*run_wsgi_app(service.client.application, plain, buffered=True), Request(plain))


class _Source:
    """Gives `content`, or for None zeros without end; calls `at_end` once before it says that it ended."""

    def __init__(self, content, at_end=lambda: None):
        self._left = content
        self._at_end = at_end
        self.given = 0

    def read(self, size):
        piece = bytes(size) if self._left is None else self._left[self.given : self.given + size]
        self.given += len(piece)
        if not piece:
            self._at_end()
        return piece
