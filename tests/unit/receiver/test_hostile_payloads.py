"""Whatever a signed body holds, it ends as an event or as one sentence that says where it is wrong."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service import limits
from service.domain.events import Ignored, Ping, Push
from service.errors import Malformed
from service.receiver import FORGES
from tests.unit.receiver.sample import changed, github, payload, without

GITHUB = FORGES["github"]
WHOLE = json.dumps(payload("push")).encode()


def nested(levels: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    """The sample push with a field that is `levels` deep; the payload itself is one more."""
    return WHOLE[:-1] + b', "deep": ' + opening * levels + closing * levels + b"}"


def objects(levels: int) -> bytes:
    return WHOLE[:-1] + b', "deep": ' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


HOSTILE = [
    (b"", "GitHub's push is not JSON: Input data was truncated"),
    (b"null", "GitHub's push is not as documented: Expected `object`, got `null`"),
    (b"[]", "GitHub's push is not as documented: Expected `object`, got `array`"),
    (b"7", "GitHub's push is not as documented: Expected `object`, got `int`"),
    (WHOLE[:-20], "GitHub's push is not JSON: Input data was truncated"),
    (WHOLE + b"}", "GitHub's push is not JSON: JSON is malformed: trailing characters"),
    (b"\xef\xbb\xbf" + WHOLE, "GitHub's push is not JSON: JSON is malformed: invalid character (byte 0)"),
    (WHOLE.replace(b"ml/fraud", b"ml/\xff"), "GitHub's push is not UTF-8 at byte"),
    (WHOLE.replace(b"Train", b"Tr\xc3"), "GitHub's push is not UTF-8 at byte"),
    (WHOLE.decode().encode("utf-16"), "GitHub's push is not UTF-8 at byte 0"),
    (nested(limits.WEBHOOK_JSON_DEPTH), "GitHub's push is nested too deeply"),
    (objects(limits.WEBHOOK_JSON_DEPTH), "GitHub's push is nested too deeply"),
    (nested(500_000), "GitHub's push is nested too deeply"),
    (WHOLE[:-1] + b', "deep": ' + b"[" * 1_000_000, "GitHub's push is nested too deeply"),
    (WHOLE[:-1] + b', "deep": ' + b'{"a":[' * 150_000, "GitHub's push is nested too deeply"),
    (b"[" * 1_000_000, "GitHub's push is nested too deeply"),
    (without("push", "repository"), "GitHub's push is not as documented: Object missing required field `repository`"),
    (without("push", "after"), "GitHub's push is not as documented: Object missing required field `after`"),
    (changed("push", "repository", "ml/fraud"), "Expected `object`, got `str` - at `$.repository`"),
    (changed("push", "repository.full_name", 7), "Expected `str`, got `int` - at `$.repository.full_name`"),
    (changed("push", "repository.full_name", "fraud"), "at `$.repository.full_name`"),
    (changed("push", "repository.full_name", "ml/fraud\n"), "at `$.repository.full_name`"),
    (changed("push", "repository.full_name", "a/" + "b" * 300), "at `$.repository.full_name`"),
    (changed("push", "ref", None), "Expected `str`, got `null` - at `$.ref`"),
    (changed("push", "ref", ["refs/heads/main"]), "Expected `str`, got `array` - at `$.ref`"),
    (changed("push", "after", "HEAD"), "at `$.after`"),
    (changed("push", "after", "0" * 39), "at `$.after`"),
    (changed("push", "after", "a" * 40 + "\n"), "at `$.after`"),
    (changed("push", "before", {"sha": "a" * 40}), "Expected `str`, got `object` - at `$.before`"),
    (changed("push", "pusher", []), "Expected `object | null`, got `array` - at `$.pusher`"),
    (changed("push", "pusher.name", 1e300), "Expected `str | null`, got `float` - at `$.pusher.name`"),
    (
        changed("push", "ref", "main"),
        "GitHub's push names a ref that is refused, at `$.ref`. The ref 'main' is no branch",
    ),
    (changed("push", "ref", "--upload-pack=touch /tmp/x"), "The ref '--upload-pack=touch /tmp/x' is no branch"),
    (changed("push", "ref", "refs/heads/-x"), "The ref 'refs/heads/-x' begins with '-', like an option"),
    (changed("push", "ref", "refs/heads/a\x00b"), "The ref 'refs/heads/a\\x00b' has the control character U+0000"),
    (changed("push", "ref", "refs/heads/" + "a" * 300), "is longer than 255 bytes"),
    (WHOLE.replace(b"refs/heads/main", b"refs/heads/\\ud800"), "GitHub's push is not JSON"),
]


def as_bytes(content) -> bytes:
    return content if isinstance(content, bytes) else json.dumps(content).encode()


@pytest.mark.parametrize(
    ("content", "sentence"), HOSTILE, ids=lambda value: str(value)[:40] if isinstance(value, str) else ""
)
def test_each_gets_its_sentence(content, sentence):
    body = as_bytes(content)
    with pytest.raises(Malformed) as caught:
        GITHUB.parse(github("push", body), body)
    assert sentence in caught.value.what
    assert caught.value.mend
    assert len(str(caught.value)) < 500
    assert str(caught.value).isascii()


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("", "The content type is missing"),
        ("text/plain", "The content type is 'text/plain'"),
        ("multipart/form-data; boundary=x", "The content type is 'multipart/form-data'"),
        ("x" * 500, "The content type is 'xxx"),
    ],
)
def test_only_json_and_forms_are_read(kind, sentence):
    with pytest.raises(Malformed) as caught:
        GITHUB.parse(github("push", WHOLE, content_type=kind), WHOLE)
    assert caught.value.what.startswith(sentence)
    assert len(caught.value.what) < 120


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The form has no field `payload`"),
        (b"payloads={}", "The form has no field `payload`"),
        (b"payload={}&payload={}", "The form has 2 fields `payload`"),
        (b"payload=", "GitHub's push is not JSON"),
        (b"payload=%ff", "GitHub's push is not UTF-8 at byte 0"),
        (b"payload=%7b%7", "GitHub's push is not JSON"),
        (b"&" * 100_000, "The form has no field `payload`"),
    ],
)
def test_a_form_that_is_none(body, sentence):
    with pytest.raises(Malformed) as caught:
        GITHUB.parse(github("push", body, content_type="application/x-www-form-urlencoded"), body)
    assert caught.value.what.startswith(sentence)


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({"x_github_event": ""}, "X-GitHub-Event is '', which is no event's name"),
        ({"x_github_event": "../../etc"}, "X-GitHub-Event is '../../etc'"),
        ({"x_github_event": "push" * 100}, "X-GitHub-Event is 'pushpush"),
        ({"x_github_delivery": "a b"}, "X-GitHub-Delivery is 'a b', which is no id"),
        ({"x_github_delivery": ""}, "X-GitHub-Delivery is '', which is no id"),
        ({"x_github_delivery": "a" * 101}, "X-GitHub-Delivery is 'aaa"),
        ({"x_github_delivery": "\xff\x00"}, "X-GitHub-Delivery is '\\xff\\x00'"),
    ],
)
def test_headers_are_hostile_too(headers, sentence):
    with pytest.raises(Malformed) as caught:
        GITHUB.identify(github("push", WHOLE, **headers), WHOLE)
    assert caught.value.what.startswith(sentence)


def test_a_payload_may_be_as_deep_as_the_cap_says():
    for body in (nested(limits.WEBHOOK_JSON_DEPTH - 1), objects(limits.WEBHOOK_JSON_DEPTH - 1)):
        assert isinstance(GITHUB.parse(github("push", body), body), Push)


def test_brackets_in_texts_are_no_depth():
    for text in ("[" * 500, '"[' * 500, '\\"[' * 500, "\\", "[]{}" * 500):
        body = json.dumps({**payload("push"), "text": text, "more": [text, {"a": text}]}).encode()
        assert isinstance(GITHUB.parse(github("push", body), body), Push)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
EVENTS = st.sampled_from(["push", "create", "delete", "ping", "issues"])


@given(EVENTS, st.binary(max_size=300), st.sampled_from(["application/json", "application/x-www-form-urlencoded"]))
def test_no_bytes_do_anything_else(event, body, kind):
    assert_event_or_malformed(event, body, kind)


@settings(max_examples=300)
@given(st.sampled_from(["push", "create", "delete", "ping"]), st.data())
def test_no_field_of_another_type_does_anything_else(event, data):
    whole = payload(event)
    place = whole
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(JSON)
        break
    assert_event_or_malformed(event, json.dumps(whole).encode(), "application/json")


def assert_event_or_malformed(event, body, kind):
    headers = github(event, body, content_type=kind)
    try:
        GITHUB.identify(headers, body)
        said = GITHUB.parse(headers, body)
    except Malformed as error:
        assert str(error).isascii()
    else:
        assert isinstance(said, Push | Ping | Ignored)
