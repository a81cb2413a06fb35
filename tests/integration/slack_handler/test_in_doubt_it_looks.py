"""When nobody knows whether a message left, the bot looks for it: one message a thing, whatever went wrong between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from handlers import Message, Rejected, Slack, Undelivered
from handlers.memory import Note
from service.domain import messages
from service.domain.events import Topic
from tests.peers.slack import Faults, SlackPeer
from tests.unit.handlers import every_message

FAILED = every_message.realistic()[Topic.RUN_FAILED]
POST = "chat.postMessage"


class Remembers:
    """What the notifier keeps for a handler. `doubt`: the last attempt's end was not seen."""

    def __init__(self, *, doubt: bool = False) -> None:
        self.doubt = doubt
        self.notes: dict[str, Note] = {}

    def get(self, key: str) -> Note | None:
        return dict(self.notes[key]) if key in self.notes else None

    def put(self, key: str, note: Note) -> None:
        self.notes[key] = dict(note)


@pytest.fixture
def peer() -> Iterator[SlackPeer]:
    with SlackPeer(paced=False) as server:
        yield server


def bot(peer: SlackPeer, **also: Any) -> Slack:
    options = {"token": peer.token, "channel": peer.channel().id, "api_url": peer.api_url, "timeout": 1}
    return Slack({**options, "allow_private": True, **also})


def of_run(topic: Topic, number: int) -> Message:
    """News of the same run; a later one has a higher id, as the outbox gives them."""
    facts = every_message.run_facts(topic)
    told = every_message.message(messages.of_run(topic, every_message.where(), facts), f"01k9zr{number:020}")
    assert told.event == topic
    return told


def until_it_left(handler: Slack, message: Message, memory: Remembers) -> int:
    """How many attempts it took."""
    for attempt in range(1, 6):
        try:
            handler.send(message, memory)
        except Undelivered:
            memory.doubt = False
        else:
            return attempt
    raise AssertionError("it never left")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda faults: faults.cut(method=POST),
        lambda faults: faults.cut(method=POST, taken=False),
        lambda faults: faults.cut(method=POST, skip=1),
        lambda faults: faults.hang(method=POST, taken=True),
        lambda faults: faults.dribble(method=POST),
        lambda faults: faults.status(503, method=POST, taken=True),
        lambda faults: faults.status(503, method=POST, taken=True, retry_after=1),
        lambda faults: faults.status(500, method=POST, times=3),
        lambda faults: faults.refuse("internal_error", method=POST),
        lambda faults: faults.too_many(times=3),
        lambda faults: (faults.cut(method=POST), faults.too_many(method="conversations.history")),
        lambda faults: (faults.cut(method=POST), faults.cut(method="conversations.history")),
    ],
)
@pytest.mark.parametrize("name", [None, "#ml"])
def test_a_message_is_said_once_whatever_becomes_of_its_answer(
    peer: SlackPeer, spoil: Callable[[Faults], object], name: str | None
) -> None:
    spoil(peer.faults)
    with closing(bot(peer, **({"channel": name} if name else {}))) as handler:
        assert until_it_left(handler, FAILED, Remembers()) > 1
    [posted] = peer.messages()
    assert len(peer.channel().thread(posted.ts)) == 1
    assert not peer.refused


@pytest.mark.parametrize("name", [None, "#ml"])
def test_a_crash_after_sending_says_it_once(peer: SlackPeer, name: str | None) -> None:
    with closing(bot(peer, **({"channel": name} if name else {}))) as handler:
        handler.send(FAILED, Remembers())
        handler.send(FAILED, Remembers(doubt=True))
        handler.send(of_run(Topic.RUN_FAILED, 9), Remembers(doubt=True))
    [posted] = peer.messages()
    assert len(peer.channel().thread(posted.ts)) == 1


def test_a_crash_between_the_message_and_its_thread_says_both_once(peer: SlackPeer) -> None:
    peer.faults.cut(method=POST, skip=1, taken=False)
    with closing(bot(peer)) as handler:
        with pytest.raises(Undelivered):
            handler.send(FAILED, Remembers())
        handler.send(FAILED, Remembers(doubt=True))
    [posted] = peer.messages()
    assert len(peer.channel().thread(posted.ts)) == 1


def test_another_s_message_about_the_same_run_is_not_taken_for_ours(peer: SlackPeer) -> None:
    """An incoming webhook's message has no metadata, and nobody may edit it."""
    with closing(Slack({"url": peer.webhook(), "allow_private": True})) as hook:
        hook.send(FAILED, Remembers())
    with closing(bot(peer)) as handler:
        handler.send(FAILED, Remembers(doubt=True))
    assert [message.by == "bot" for message in peer.messages()] == [False, True]


def test_a_channel_that_cannot_be_looked_through_gets_its_message_all_the_same(peer: SlackPeer) -> None:
    peer.workspace.scopes = ("chat:write",)
    with closing(bot(peer)) as handler:
        handler.send(FAILED, Remembers(doubt=True))
    assert len(peer.messages()) == 1


def test_a_run_without_trouble_is_one_message_and_no_question(peer: SlackPeer) -> None:
    memory = Remembers()
    topics = (Topic.RUN_QUEUED, Topic.RUN_STARTED, Topic.RUN_PROGRESS, Topic.RUN_SUCCEEDED)
    with closing(bot(peer)) as handler:
        for number, topic in enumerate(topics):
            handler.send(of_run(topic, number), memory)
    assert [call.method for call in peer.calls] == [POST, *["chat.update"] * 3, POST]
    [posted] = peer.messages()
    assert "succeeded" in posted.blocks[0]["text"]["text"]
    assert len(posted.versions) == 3


def test_news_that_come_late_undo_nothing(peer: SlackPeer) -> None:
    memory = Remembers()
    with closing(bot(peer)) as handler:
        handler.send(of_run(Topic.RUN_FAILED, 7), memory)
        handler.send(of_run(Topic.RUN_PROGRESS, 3), memory)
    [posted] = peer.messages()
    assert "failed" in posted.blocks[0]["text"]["text"]


def test_a_message_that_somebody_deleted_is_said_anew_at_the_end(peer: SlackPeer) -> None:
    memory = Remembers()
    with closing(bot(peer)) as handler:
        handler.send(of_run(Topic.RUN_STARTED, 1), memory)
        peer.channel().everything.clear()
        handler.send(of_run(Topic.RUN_PROGRESS, 2), memory)
        assert not peer.messages(), "nobody wants each step as a message of its own"
        handler.send(of_run(Topic.RUN_FAILED, 3), memory)
    [posted] = peer.messages()
    assert len(peer.channel().thread(posted.ts)) == 1


def test_where_nothing_may_be_edited_a_run_is_its_beginning_and_its_end(peer: SlackPeer) -> None:
    memory = Remembers()
    with closing(bot(peer)) as handler:
        handler.send(of_run(Topic.RUN_STARTED, 1), memory)
        peer.workspace.editable = False
        for number in range(2, 8):
            handler.send(of_run(Topic.RUN_PROGRESS, number), memory)
        handler.send(of_run(Topic.RUN_SUCCEEDED, 9), memory)
    heads = [message.blocks[0]["text"]["text"].rpartition(": ")[2] for message in peer.messages()]
    assert heads == ["running", "succeeded"]


@pytest.mark.parametrize(
    ("trouble", "mend"),
    [
        ("is_archived", "unarchive"),
        ("not_in_channel", "/invite"),
        ("channel_not_found", "check the handler's channel"),
        ("token_revoked", "token_file"),
        ("account_inactive", "token_file"),
        ("missing_scope", "scope"),
    ],
)
def test_a_refusal_for_good_says_how_to_mend_it(peer: SlackPeer, trouble: str, mend: str) -> None:
    peer.faults.refuse(trouble, method=POST)
    with closing(bot(peer)) as handler, pytest.raises(Rejected, match=trouble) as caught:
        handler.send(FAILED, Remembers())
    assert mend in str(caught.value)
    assert peer.token not in str(caught.value)


def test_the_looks_that_slack_refuses_do_not_keep_the_news_back(peer: SlackPeer) -> None:
    peer.faults.refuse("invalid_blocks", method=POST)
    with closing(bot(peer)) as handler:
        handler.send(FAILED, Remembers())
    [posted] = peer.messages()
    assert not posted.blocks
    assert "no rows left" in posted.text


def test_patience_is_handed_on(peer: SlackPeer) -> None:
    peer.faults.too_many(retry_after=17)
    with closing(bot(peer)) as handler, pytest.raises(Undelivered) as caught:
        handler.send(FAILED, Remembers())
    assert caught.value.retry_after == 17
    peer.faults.too_many(retry_after=18)
    with closing(Slack({"url": peer.webhook(), "allow_private": True})) as hook:
        with pytest.raises(Undelivered) as caught:
            hook.send(FAILED, Remembers())
        assert caught.value.retry_after == 18
        hook.send(FAILED, Remembers())
    assert len(peer.messages()) == 1
