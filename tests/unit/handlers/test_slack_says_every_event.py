"""Whatever happens, and whatever it says: Slack takes the message, and nobody's text becomes markup, a link or a call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from handlers import Message, Slack
from handlers.slack import blocks
from service.domain.events import Topic
from tests.peers.slack import SlackPeer
from tests.peers.slack.content import problems_of, texts_of
from tests.unit.handlers import every_message

KINDS = ("realistic", "hostile", "oversized")


@pytest.fixture(scope="module")
def peer() -> Iterator[SlackPeer]:
    with SlackPeer(paced=False) as server:
        yield server


@pytest.fixture(scope="module")
def bot(peer: SlackPeer) -> Iterator[Slack]:
    with closing(
        Slack({"token": peer.token, "channel": "#ml", "api_url": peer.api_url, "allow_private": True})
    ) as made:
        yield made


@pytest.fixture(scope="module")
def incoming(peer: SlackPeer) -> Iterator[Slack]:
    with closing(Slack({"url": peer.webhook(), "allow_private": True})) as made:
        yield made


@pytest.mark.parametrize("topic", list(Topic))
@pytest.mark.parametrize("kind", KINDS)
def test_a_bot_says_it(peer: SlackPeer, bot: Slack, kind: str, topic: Topic) -> None:
    message: Message = getattr(every_message, kind)()[topic]
    before, replies = len(peer.messages()), len(peer.channel().everything)
    bot.send(message)
    assert peer.refused == []
    [posted] = peer.messages()[before:]
    assert posted.blocks
    assert posted.text
    more = blocks.details(message) is not None
    assert len(peer.channel().everything) - replies == 1 + more
    assert len(peer.channel().thread(posted.ts)) == more


@pytest.mark.parametrize("topic", [topic for topic in Topic if topic is not Topic.RUN_PROGRESS])
@pytest.mark.parametrize("kind", KINDS)
def test_a_webhook_says_it(peer: SlackPeer, incoming: Slack, kind: str, topic: Topic) -> None:
    before = len(peer.messages())
    incoming.send(getattr(every_message, kind)()[topic])
    assert peer.refused == []
    [posted] = peer.messages()[before:]
    assert posted.blocks
    assert posted.text


def test_a_webhook_does_not_say_each_step(peer: SlackPeer, incoming: Slack) -> None:
    before = len(peer.messages())
    incoming.send(every_message.realistic()[Topic.RUN_PROGRESS])
    assert len(peer.messages()) == before


@pytest.mark.parametrize("topic", list(Topic))
def test_nothing_of_a_strangers_text_is_markup(topic: Topic) -> None:
    message = every_message.hostile()[topic]
    for said in filter(None, (blocks.main(message), blocks.details(message), blocks.whole(message))):
        shown = json.dumps(said.blocks)
        assert '"mrkdwn"' not in shown
        assert '"emoji": true' not in shown
        assert '"type": "broadcast"' not in shown
        assert '"type": "user"' not in shown
        assert "<!" not in said.text
        assert "<h" not in said.text
        assert {url for url in _urls(said.blocks) if "evil" in url or "javascript" in url} == set()
        for text in texts_of(said.blocks):
            assert not set(text) & set("\x00\x1b\u202e")
        assert problems_of({"text": said.text, "blocks": said.blocks}, mentions=False) == []


@pytest.mark.parametrize("topic", list(Topic))
def test_the_first_line_says_what_happened_however_long_the_names_are(topic: Topic) -> None:
    short, long = every_message.realistic()[topic], every_message.oversized()[topic]
    heads = [blocks.main(message).blocks[0]["text"]["text"] for message in (short, long)]
    assert all(len(head) <= 150 for head in heads)
    if topic is not Topic.SYNC_SUCCEEDED:
        assert heads[0].rpartition(":")[2] == heads[1].rpartition(":")[2] or topic is Topic.DELIVERY_REJECTED


def test_buttons_are_there_where_a_page_is_known() -> None:
    message = every_message.realistic()[Topic.RUN_SUCCEEDED]
    [actions] = [block for block in blocks.main(message).blocks if block["type"] == "actions"]
    assert [button["text"]["text"] for button in actions["elements"]] == ["Run", "Diff", "Commit"]
    assert [button["action_id"] for button in actions["elements"]] == ["run", "diff", "commit"]
    assert all(button["url"].startswith("https://") for button in actions["elements"])
    rejected = every_message.realistic()[Topic.DELIVERY_REJECTED]
    assert [block for block in blocks.main(rejected).blocks if block["type"] == "actions"] == []


def test_a_run_shows_its_steps_results_and_error_and_the_thread_the_rest() -> None:
    every = every_message.realistic()
    done = "".join(texts_of(blocks.main(every[Topic.RUN_SUCCEEDED]).blocks))
    for words in ("generate", "train", "auc", "0.9312", "Filter out small amounts", "Ada Lovelace", "3 min 7 s"):
        assert words in done
    failed = blocks.main(every[Topic.RUN_FAILED])
    assert "train: ValueError: no rows left" in "".join(texts_of(failed.blocks))
    assert "Traceback (most" not in "".join(texts_of(failed.blocks))
    more = blocks.details(every[Topic.RUN_FAILED])
    assert more is not None
    told = "".join(texts_of(more.blocks))
    assert 'File "src/train.py", line 31' in told
    assert "rows left: 0" in told
    assert "Traceback (most" in "".join(texts_of(blocks.whole(every[Topic.RUN_FAILED]).blocks))


def test_an_event_that_is_not_known_here_is_said_all_the_same(peer: SlackPeer, bot: Slack) -> None:
    plain: dict[str, Any] = {"id": "01", "key": "k", "severity": "info", "at": "2026-01-02T03:04:05Z"}
    message = Message(**plain, event="test", title="a test message of mlrun-gitops")
    bot.send(message)
    assert peer.messages()[-1].blocks[0]["text"]["text"] == "ℹ️ a test message of mlrun-gitops"
    assert peer.refused == []


def _urls(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("url"), str):
            yield value["url"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _urls(one)
