from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from pydantic import ValidationError

from handlers import Rejected, Slack, Undelivered
from service.domain.events import Topic
from tests.peers.slack import SlackPeer
from tests.unit.handlers import every_message

TOKEN = "xoxb-12345678-canary"
HOOK = "https://hooks.slack.com/services/T0/B0/canary"
MESSAGE = every_message.realistic()[Topic.RUN_FAILED]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs either token"),
        ({"token": TOKEN, "url": HOOK, "channel": "#ml"}, "needs either token"),
        ({"token": TOKEN}, "needs channel beside token"),
        ({"url": HOOK, "channel": "#ml"}, "has none beside url"),
        ({"token": "canary-of-another-kind", "channel": "#ml"}, "begins with xoxb-"),
        ({"token": TOKEN, "channel": "# ml"}, "is no channel"),
        ({"token": TOKEN, "channel": "<!channel>"}, "is no channel"),
        ({"url": "ftp://canary/x"}, "is no address"),
        ({"url": "http://hooks.slack.com/services/canary"}, "is unencrypted"),
        ({"token": TOKEN, "channel": "#ml", "api_url": "http://slack.example/api/"}, "is unencrypted"),
        ({"token": TOKEN, "channel": "#ml", "api_url": "slack.example"}, "is no address"),
        ({"token": TOKEN, "channel": "#ml", "timeout": 60}, "less than or equal to 15"),
        ({"token": TOKEN, "channel": "#ml", "colour": "canary"}, "Extra inputs"),
    ],
)
def test_options_that_cannot_work_say_what_is_missing_and_no_secret(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Slack(options)
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"token": TOKEN, "channel": "#ml-team"},
        {"token": TOKEN, "channel": "C0123456789"},
        {"token": "xoxe.xoxb-1-rotating-token", "channel": "ml"},
        {"token": TOKEN, "channel": "#ml", "api_url": "https://slack-gov.com/api"},
        {"url": HOOK},
    ],
)
def test_what_teams_have_is_taken(options: dict[str, Any]) -> None:
    Slack(options)


def test_neither_way_goes_where_a_private_network_is() -> None:
    with SlackPeer() as peer:
        ways = [
            {"token": peer.token, "channel": "#ml", "api_url": peer.api_url.replace("http:", "https:")},
            {"url": peer.webhook().replace("http:", "https:")},
        ]
        for options in ways:
            with pytest.raises(Rejected, match="allow_private") as caught:
                Slack(options).send(MESSAGE)
            assert peer.token not in str(caught.value)
            assert "/services/" not in str(caught.value)
        assert peer.calls == []


@pytest.mark.parametrize(
    ("word", "error", "said"),
    [
        ("no_service", Rejected, "no_service; make a new incoming webhook"),
        ("channel_is_archived", Rejected, "unarchive"),
        ("action_prohibited", Rejected, "administrator"),
        ("rollup_error", Undelivered, "rollup_error"),
    ],
)
def test_a_webhooks_word_says_how_to_mend_it_and_never_its_address(
    word: str, error: type[Exception], said: str
) -> None:
    with SlackPeer() as peer:
        url = peer.webhook()
        peer.spoil_webhook(url, word)
        with closing(Slack({"url": url, "allow_private": True})) as handler, pytest.raises(error) as caught:
            handler.send(MESSAGE)
        text = f"{caught.value} {caught.value!r}"
        assert said in text
        assert url.rpartition("/")[2] not in text


@pytest.mark.parametrize("way", ["bot", "webhook"])
def test_a_redirect_is_not_followed_and_a_page_that_is_no_slack_is_tried_again(way: str) -> None:
    with SlackPeer() as peer:
        bot = {"token": peer.token, "channel": "#ml", "api_url": peer.api_url, "allow_private": True}
        options = bot if way == "bot" else {"url": peer.webhook(), "allow_private": True}
        with closing(Slack(options)) as handler:
            peer.faults.status(302)
            with pytest.raises(Rejected, match="redirects are not followed"):
                handler.send(MESSAGE)
            peer.faults.status(502)
            with pytest.raises(Undelivered, match="502"):
                handler.send(MESSAGE)
        assert peer.messages() == []


def test_a_look_whether_it_works_tells_nobody() -> None:
    with SlackPeer(channels=("#ml",)) as peer:
        options = {"token": peer.token, "channel": peer.channel().id, "api_url": peer.api_url, "allow_private": True}
        with closing(Slack(options)) as handler:
            assert "sees the channel" in handler.check()
            peer.workspace.scopes = ("chat:write",)
            assert "missing_scope (channels:history)" in handler.check()
            peer.workspace.revoked = "token_revoked"
            with pytest.raises(Rejected, match="token_file"):
                handler.check()
        with closing(Slack({"url": peer.webhook(), "allow_private": True})) as hook:
            assert hook.check() == "its host answers"
        assert peer.messages() == []
