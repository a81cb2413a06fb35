"""Anything that can sign a body and send JSON is a forge."""

import json

import pytest

from tests.unit.receiver.sample import SECRET, signature

PATH = "/webhooks/generic/scripts"


def headers_of(body, **more):
    plain = {"content-type": "application/json", "x-delivery": "build-7", "x-signature-256": signature(body)}
    return {**plain, **{name.replace("_", "-"): value for name, value in more.items()}}


def send(service, content, **more):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return service.post(PATH, body, headers_of(body, **more))


def test_a_push_is_accepted_and_fetched_for(service):
    content = {"repository": "ml/scripts", "ref": "refs/tags/v1", "before": "0" * 40, "after": "a" * 40, "pusher": "ci"}
    answer = send(service, content)
    assert answer.status_code == 202
    delivery = service.delivery(answer)
    assert (delivery.ref, delivery.before, delivery.after) == ("refs/tags/v1", None, "a" * 40)
    assert (delivery.forge_id, delivery.pusher, delivery.headers["x-delivery"]) == ("build-7", "ci", "build-7")
    assert service.wanted("fetch") == {"scripts": 1}


def test_repository_and_ref_are_enough(service):
    assert send(service, {"repository": "ml/scripts", "ref": "refs/heads/main"}).status_code == 202


@pytest.mark.parametrize(
    ("content", "headers", "status", "sentence"),
    [
        (b"{}", {"x_signature_256": "sha256=" + "0" * 64}, 401, "The signature is missing"),
        (b"{}", {"x_signature_256": signature(b"{}", SECRET + b"!")}, 401, "The signature is missing"),
        (b"{}", {}, 400, "The payload is not as documented: Object missing required field `repository`"),
        (b"{", {}, 400, "The payload is not JSON: Input data was truncated"),
        ({"repository": "scripts", "ref": "refs/heads/main"}, {}, 400, "at `$.repository`"),
        ({"repository": "ml/scripts", "ref": "main"}, {}, 400, "The ref 'main' is no branch and no tag"),
        ({"repository": "ml/scripts", "ref": "refs/heads/x", "after": "HEAD"}, {}, 400, "at `$.after`"),
        (b"{}", {"x_delivery": ""}, 400, "X-Delivery is '', which is no id"),
        (b"{}", {"content_type": "text/plain"}, 400, "The content type is 'text/plain'"),
    ],
)
def test_anything_else_gets_its_sentence(service, content, headers, status, sentence):
    answer = send(service, content, **headers)
    assert answer.status_code == status
    assert sentence in answer.json["detail"]
