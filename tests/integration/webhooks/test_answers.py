"""The contract's answers: each request gets its status, its sentence, and a row that says the same."""

import json

import pytest

from service.receiver import unpack
from service.receiver.intake import UNAUTHORIZED
from tests.integration.webhooks.conftest import HOOK_SECRET, OTHER_SECRET
from tests.unit.receiver.sample import changed, github, payload, signature
from tests.unit.receiver.test_hostile_payloads import HOSTILE, as_bytes


def test_a_push_is_accepted_kept_and_fetched_for(service):
    answer = service.send(payload("push"), delivery="d-1")
    assert answer.status_code == 202
    delivery = service.delivery(answer)
    assert answer.json == {"delivery": delivery.id, "status": "accepted", "reason": "fraud is fetched for main"}
    assert (delivery.state, delivery.repository, delivery.ref) == ("accepted", "fraud", "refs/heads/main")
    assert (delivery.forge_id, delivery.event, delivery.pusher) == ("d-1", "push", "ada")
    assert delivery.after == payload("push")["after"]
    assert delivery.outcome is None
    assert service.wanted("fetch") == {"fraud": 1}


def test_what_is_kept_holds_no_signature(service):
    body = json.dumps(payload("push")).encode()
    answer = service.send(body, authorization="Bearer x", cookie="a=b", x_forwarded_for="1.2.3.4")
    delivery = service.delivery(answer)
    assert delivery.headers == {
        "content-type": "application/json",
        "user-agent": "GitHub-Hookshot/044aadd",
        "x-github-event": "push",
        "x-github-delivery": "72d3162e-cc78-11e3",
    }
    assert delivery.body is not None
    assert unpack(delivery.body, delivery.size) == body


def test_the_last_delivery_of_a_repository_is_seen(service):
    service.send(payload("push"))
    with service.store.read() as connection:
        from service.store import repositories

        assert repositories.get(connection, "fraud").delivered_at is not None


def test_each_of_several_secrets_will_do(service):
    assert service.send(payload("push"), secret=OTHER_SECRET).status_code == 202


def test_a_ping_is_answered_with_200_and_asks_for_nothing(service):
    answer = service.send(payload("ping"), "ping")
    assert answer.status_code == 200
    assert answer.json["status"] == "ignored"
    assert service.delivery(answer).reason == "a ping; the webhook works"
    assert service.wanted("fetch") == {}


def test_an_event_that_is_not_acted_on_is_ignored_and_says_why(service):
    answer = service.send({}, "issues")
    assert answer.status_code == 202
    assert answer.json["status"] == "ignored"
    assert answer.json["reason"] == "GitHub's issues is not acted on; push, create and delete are"
    assert service.wanted("fetch") == {}


def test_a_delivery_that_comes_again_is_a_duplicate_and_is_fetched_for_again(service):
    first = service.send(payload("push"), delivery="d-1")
    again = service.send(payload("push"), delivery="d-1")
    assert again.status_code == 202
    assert again.json["status"] == "duplicate"
    assert again.json["delivery"] != first.json["delivery"]
    assert again.json["reason"] == f"seen before as {first.json['delivery']}; fraud is fetched for main"
    assert service.delivery(again).state == "duplicate"
    assert service.wanted("fetch") == {"fraud": 2}


def test_of_equal_deliveries_at_the_same_moment_one_is_the_first(service):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: service.send(payload("push"), delivery=f"d-{n % 4}"), range(48)))
    by_id: dict[str, list] = {}
    for answer in answers:
        row = service.delivery(answer)
        assert answer.json["status"] == row.state
        by_id.setdefault(row.forge_id, []).append(row)
    assert {forge_id: len(rows) for forge_id, rows in by_id.items()} == {f"d-{n}": 12 for n in range(4)}
    for rows in by_id.values():
        first = min(rows, key=lambda row: row.id if row.state == "accepted" else "~")
        others = [row for row in rows if row is not first]
        assert {row.state for row in others} == {"duplicate"}
        assert all(row.reason.startswith(f"seen before as {first.id}; ") for row in others)
    assert service.wanted("fetch").keys() == {"fraud"}


def test_the_same_id_at_another_hook_is_no_duplicate(service):
    service.send(payload("push"), delivery="d-1")
    answer = service.send(payload("push"), delivery="d-1", path="/webhooks/github/org", secret=HOOK_SECRET)
    assert answer.json["status"] == "accepted"


def test_an_address_moves_only_its_own_repository_whatever_the_payload_names(service):
    answer = service.send(changed("push", "repository.full_name", "evil/other"))
    assert answer.status_code == 202
    assert answer.json["reason"] == (
        "fraud is fetched for main; the payload names 'evil/other', but this address belongs to ml/fraud"
    )
    assert service.wanted("fetch") == {"fraud": 1}


@pytest.mark.parametrize(
    ("full_name", "fetched"), [("ml/fraud", "fraud"), ("ML/Fraud", "fraud"), ("ml/churn", "churn")]
)
def test_an_organisations_hook_finds_the_repository_by_its_path(service, full_name, fetched):
    content = changed("push", "repository.full_name", full_name)
    answer = service.send(content, path="/webhooks/github/org", secret=HOOK_SECRET)
    assert answer.status_code == 202
    assert service.wanted("fetch") == {fetched: 1}


@pytest.mark.parametrize("full_name", ["ml/unknown", "web/shop", "fraud/ml"])
def test_an_organisations_hook_knows_no_other_repository(service, full_name):
    content = changed("push", "repository.full_name", full_name)
    answer = service.send(content, path="/webhooks/github/org", secret=HOOK_SECRET)
    assert answer.status_code == 404
    assert answer.json["detail"] == f"No repository of the hook org has the path '{full_name}'"
    assert service.delivery(answer).state == "rejected"
    assert service.wanted("fetch") == {}


def test_an_unknown_repository_without_a_signature_is_a_bad_signature(service):
    content = changed("push", "repository.full_name", "ml/unknown")
    assert service.send(content, path="/webhooks/github/org", secret=b"guessed").status_code == 401


REFUSED = [
    ("/webhooks/github/fraud", b"guessed"),
    ("/webhooks/github/no-such-hook", b"guessed"),
    ("/webhooks/no-such-forge/fraud", b"guessed"),
    ("/webhooks/generic/fraud", b"guessed"),
    ("/webhooks/gitlab/fraud", b"guessed"),
    ("/webhooks/github/other-team", HOOK_SECRET),
    ("/webhooks/github/org", b"guessed"),
    ("/webhooks/github/%00%ff", b"guessed"),
]


def test_a_stranger_cannot_tell_a_wrong_secret_from_a_hook_that_is_not_there(service):
    answers = [service.send(payload("push"), path=path, secret=secret) for path, secret in REFUSED]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.data for answer in answers}) == 1
    assert len({str(sorted(answer.headers.items())) for answer in answers}) == 1
    assert answers[0].json["detail"] == UNAUTHORIZED
    assert answers[0].content_type == "application/problem+json"
    assert service.wanted("fetch") == {}


def test_without_any_signature_it_is_401(service):
    body = json.dumps(payload("push")).encode()
    headers = github("push", body)
    del headers["x-hub-signature-256"]
    assert service.post("/webhooks/github/fraud", body, headers).status_code == 401


@pytest.mark.parametrize(
    ("content", "sentence"), HOSTILE, ids=lambda value: str(value)[:40] if isinstance(value, str) else ""
)
def test_a_signed_body_that_makes_no_sense_is_400_and_kept_with_its_sentence(service, content, sentence):
    body = as_bytes(content)
    answer = service.send(body)
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"
    assert sentence in answer.json["detail"]
    assert answer.json["mend"]
    delivery = service.delivery(answer)
    assert delivery.state == "rejected"
    assert sentence in delivery.reason
    assert service.wanted("fetch") == {}
    assert [told.id for told in service.told] == [delivery.id]


def test_another_forges_delivery_is_told_where_it_belongs(service):
    body = b'{"repository": "ml/fraud", "ref": "refs/heads/main"}'
    headers = {"content-type": "application/json", "x-delivery": "1", "x-hub-signature-256": signature(body)}
    answer = service.post("/webhooks/github/fraud", body, headers)
    assert answer.status_code == 400
    assert answer.json["mend"] == "It looks like generic's: use the address /webhooks/generic/..."


def test_an_insecure_hook_takes_what_is_not_signed(service):
    body = json.dumps(payload("push")).encode()
    headers = github("push", body)
    del headers["x-hub-signature-256"]
    assert service.post("/webhooks/github/open", body, headers).status_code == 202
    assert service.wanted("fetch") == {"open": 1}


def test_nonsense_at_an_insecure_hook_keeps_no_body(service):
    answer = service.post("/webhooks/github/open", b"\xff" * 1000, github("push", b""))
    assert answer.status_code == 400
    assert "delivery" not in answer.json
    (kept,) = service.rejected()
    assert service.delivery_of(kept.id).body is None


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_only_post_is_a_webhook(service, method):
    answer = getattr(service.client, method)("/webhooks/github/fraud")
    assert answer.status_code == 405
    assert answer.content_type == "application/problem+json"
    assert "POST" in answer.headers["Allow"]
