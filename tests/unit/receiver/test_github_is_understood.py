"""What GitHub says, as events."""

import json
from urllib.parse import quote_plus

import pytest

from service.domain.events import Ignored, Ping, Push
from service.receiver import FORGES
from tests.unit.receiver.sample import changed, github, payload

GITHUB = FORGES["github"]
ZEROS = "0" * 40


def parse(event, content, **headers):
    body = json.dumps(content).encode()
    return GITHUB.parse(github(event, body, **headers), body)


def test_a_push():
    assert parse("push", payload("push")) == Push(
        repository="ml/fraud",
        ref="refs/heads/main",
        before="6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        after="0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c",
        pusher="ada",
    )


def test_a_push_in_a_form_says_the_same():
    body = b"payload=" + quote_plus(json.dumps(payload("push"))).encode()
    headers = github("push", body, content_type="application/x-www-form-urlencoded")
    assert GITHUB.parse(headers, body) == parse("push", payload("push"))


def test_a_push_to_a_new_ref_has_no_commit_before():
    assert parse("push", changed("push", "before", ZEROS)).before is None


def test_a_push_that_deletes_has_no_commit_after():
    assert parse("push", changed("push", "after", ZEROS)).after is None


def test_a_commit_may_be_a_sha256():
    assert parse("push", changed("push", "after", "ab" * 32)).after == "ab" * 32


def test_a_new_tag_is_a_hint_without_commits():
    assert parse("create", payload("create")) == Push("ml/fraud", "refs/tags/v1.4.0", None, None, "ada")


def test_a_deleted_branch_is_a_hint_without_commits():
    assert parse("delete", payload("delete")) == Push("ml/fraud", "refs/heads/feature/season", None, None, "ada")


def test_a_new_repository_is_not_acted_on():
    event = parse("create", {**changed("create", "ref", None), "ref_type": "repository"})
    assert event == Ignored("a create of a 'repository' is not acted on", "ml/fraud")


def test_a_ping_of_a_repository_and_of_an_organisation():
    assert parse("ping", payload("ping")) == Ping("ml/fraud")
    assert parse("ping", {"zen": "Speak like a human.", "organization": {"login": "ml"}}) == Ping(None)


@pytest.mark.parametrize("event", ["issues", "workflow_run", "pull_request"])
def test_other_events_are_ignored_whatever_they_hold(event):
    body = b"\xff not even JSON"
    assert GITHUB.parse(github(event, body), body) == Ignored(
        f"GitHub's {event} is not acted on; push, create and delete are"
    )


def test_the_identity_is_in_the_headers():
    identity = GITHUB.identify(github("push", b"", delivery="d-1"), None)
    assert (identity.forge_id, identity.event) == ("d-1", "push")


def test_a_name_for_people_cannot_write_to_their_terminal():
    assert parse("push", changed("push", "pusher.name", "ada\x1b[2J\n\u202eevil" + "x" * 500)).pusher == (
        "ada[2Jevil" + "x" * 190
    )
