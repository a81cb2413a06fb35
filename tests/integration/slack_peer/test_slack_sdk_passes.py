"""slack-sdk's own clients against the stand-in: what they send is taken, what it answers they understand."""

from __future__ import annotations

import http.client
import time

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.models.metadata import Metadata
from slack_sdk.webhook import WebhookClient

from tests.integration.slack_peer.conftest import client_of
from tests.peers.slack import SlackPeer


def refusal(caught: pytest.ExceptionInfo[SlackApiError]) -> str:
    return str(caught.value.response["error"])


def test_the_token_is_known(client: WebClient) -> None:
    assert client.auth_test()["bot_id"]
    assert client.api_test(foo="bar")["args"] == {"foo": "bar"}


def test_a_message_is_posted_by_name_and_found_by_id(client: WebClient, slack: SlackPeer) -> None:
    posted = client.chat_postMessage(channel="#ml", text="a &amp; b", metadata=Metadata("run", {"id": "01r", "n": 3}))
    [found] = client.conversations_history(channel=posted["channel"], include_all_metadata=True)["messages"]
    assert (found["ts"], found["text"]) == (posted["ts"], "a &amp; b")
    assert found["metadata"] == {"event_type": "run", "event_payload": {"id": "01r", "n": 3}}
    [without] = client.conversations_history(channel=posted["channel"])["messages"]
    assert "metadata" not in without
    assert [message.text for message in slack.messages()] == ["a &amp; b"]
    assert not slack.refused


def test_a_message_is_edited_and_its_past_is_kept(client: WebClient, slack: SlackPeer) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*one*"}}]
    posted = client.chat_postMessage(channel="ml", text="one", blocks=blocks)
    client.chat_update(channel=posted["channel"], ts=posted["ts"], text="two")
    [message] = slack.messages()
    assert (message.text, message.blocks) == ("two", []), "a text without blocks removes the blocks"
    assert [version["text"] for version in message.versions] == ["one"]


def test_replies_stand_in_their_thread(client: WebClient, slack: SlackPeer) -> None:
    posted = client.chat_postMessage(channel="#ml", text="run")
    client.chat_postMessage(channel="#ml", text="step", thread_ts=posted["ts"])
    client.chat_postMessage(channel="#ml", text="end", thread_ts=posted["ts"], reply_broadcast=True)
    replies = client.conversations_replies(channel=posted["channel"], ts=posted["ts"])["messages"]
    assert [one["text"] for one in replies] == ["run", "step", "end"]
    history = client.conversations_history(channel=posted["channel"])["messages"]
    assert [one["text"] for one in history] == ["end", "run"], "newest first, without replies that were not broadcast"
    assert history[1]["reply_count"] == 2
    assert [one.text for one in slack.channel().thread(posted["ts"])] == ["step", "end"]


def test_a_long_history_comes_in_pages(client: WebClient) -> None:
    for number in range(7):
        channel = client.chat_postMessage(channel="#ml", text=f"{number}")["channel"]
    pages = client.conversations_history(channel=channel, limit=3)
    assert [[one["text"] for one in page["messages"]] for page in pages] == [["6", "5", "4"], ["3", "2", "1"], ["0"]]


def test_a_history_ends_and_begins_where_it_is_told(client: WebClient) -> None:
    stamps = [client.chat_postMessage(channel="#ml", text=f"{n}") for n in range(4)]
    channel = stamps[0]["channel"]
    within = {"channel": channel, "oldest": stamps[1]["ts"], "latest": stamps[3]["ts"]}
    assert [one["text"] for one in client.conversations_history(**within)["messages"]] == ["2"]
    assert [one["text"] for one in client.conversations_history(**within, inclusive=True)["messages"]] == [
        "3",
        "2",
        "1",
    ]


def test_channels_are_listed(slack: SlackPeer, client: WebClient) -> None:
    slack.workspace.add_channel("secret", private=True)
    slack.workspace.add_channel("others", private=True, member=False)
    listed = client.conversations_list(types="public_channel,private_channel")["channels"]
    assert [(one["name"], one["is_member"]) for one in listed] == [("ml", True), ("secret", True)]
    assert client.conversations_info(channel=listed[0]["id"])["channel"]["name"] == "ml"
    assert client.chat_getPermalink(
        channel=listed[0]["id"], message_ts=client.chat_postMessage(channel="#ml", text="x")["ts"]
    )["permalink"]


def test_a_refusal_is_a_slack_api_error_that_says_why(client: WebClient) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel="#ml", text="x", blocks=blocks)
    assert refusal(caught) == "invalid_blocks"
    said = caught.value.response["response_metadata"]["messages"]
    assert "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]" in said


def test_too_many_messages_are_told_to_wait_and_the_sdk_waits() -> None:
    with SlackPeer() as peer:
        impatient = client_of(peer)
        with pytest.raises(SlackApiError) as caught:
            for _ in range(7):
                impatient.chat_postMessage(channel="#ml", text="x")
        assert caught.value.response.status_code == 429
        assert int(caught.value.response.headers["Retry-After"]) >= 1
        patient = client_of(peer, retry_handlers=[RateLimitErrorRetryHandler(max_retry_count=3)])
        began = time.monotonic()
        patient.chat_postMessage(channel="#ml", text="last")
        assert time.monotonic() - began >= 1
        assert peer.messages()[-1].text == "last"


def test_a_pace_is_a_channel_s_own() -> None:
    now = [0.0]
    with SlackPeer(channels=("#ml", "#ops"), clock=lambda: now[0]) as peer:
        client = client_of(peer)
        for channel in ["#ml"] * 5 + ["#ops"] * 5:
            client.chat_postMessage(channel=channel, text="x")
        with pytest.raises(SlackApiError) as caught:
            client.chat_postMessage(channel="#ml", text="x")
        assert refusal(caught) == "ratelimited"
        now[0] += 1.0
        client.chat_postMessage(channel="#ml", text="x")


@pytest.mark.parametrize("answer", ["internal_error", "account_inactive"])
def test_a_fault_is_an_answer_on_demand(client: WebClient, slack: SlackPeer, answer: str) -> None:
    slack.faults.refuse(answer, method="chat.postMessage")
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel="#ml", text="x")
    assert refusal(caught) == answer
    client.chat_postMessage(channel="#ml", text="x")
    assert len(slack.messages()) == 1


def test_a_cut_loses_the_answer_but_not_the_message(client: WebClient, slack: SlackPeer) -> None:
    slack.faults.cut(method="chat.postMessage")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        WebClient(token=slack.token, base_url=slack.api_url, retry_handlers=[]).chat_postMessage(
            channel="#ml", text="x"
        )
    assert [message.text for message in slack.messages()] == ["x"]


def test_an_incoming_webhook_takes_what_the_sdk_sends(slack: SlackPeer) -> None:
    answer = WebhookClient(slack.webhook()).send(text="hello", blocks=[{"type": "divider"}], unfurl_links=False)
    assert (answer.status_code, answer.body) == (200, "ok")
    [message] = slack.messages()
    assert message.by.startswith("/services/")
    assert not slack.refused


@pytest.mark.parametrize(
    ("trouble", "status"),
    [("no_service", 404), ("channel_not_found", 404), ("action_prohibited", 403), ("invalid_token", 403)],
)
def test_a_webhook_in_trouble_answers_one_word(slack: SlackPeer, trouble: str, status: int) -> None:
    url = slack.webhook()
    slack.spoil_webhook(url, trouble)
    answer = WebhookClient(url).send(text="x")
    assert (answer.status_code, answer.body) == (status, trouble)


def test_a_webhook_of_a_channel_that_was_archived_is_gone(slack: SlackPeer) -> None:
    url = slack.webhook()
    slack.channel().archived = True
    answer = WebhookClient(url).send(text="x")
    assert (answer.status_code, answer.body) == (410, "channel_is_archived")
    assert WebhookClient(slack.url + "/services/T/B/unknown").send(text="x").body == "no_service"


def test_a_webhook_refuses_what_it_does_not_understand(slack: SlackPeer) -> None:
    client = WebhookClient(slack.webhook())
    for body, word in (
        ({}, "invalid_payload"),  # the sdk makes `null` of it
        ({"attachments": []}, "no_text"),
        ({"text": ""}, "no_text"),
        ({"text": "x", "channel": "#other"}, "invalid_payload"),
        ({"text": "x", "blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        ({"text": "x", "blocks": "[]"}, "invalid_blocks_format"),
    ):
        answer = client.send_dict(body)
        assert (answer.status_code, answer.body) == (400, word)
    assert not slack.messages()


def test_webhooks_have_a_pace_too() -> None:
    with SlackPeer() as peer:
        client = WebhookClient(peer.webhook())
        answers = [client.send(text="x") for _ in range(7)]
        assert [answer.status_code for answer in answers][:5] == [200] * 5
        assert (answers[-1].status_code, answers[-1].body) == (429, "rate_limited")
        assert int(answers[-1].headers["Retry-After"]) >= 1
