"""Every event × Slack mode, made by the real handler against the stand-in and read back from it: what there is to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing

from handlers import Message as Ours
from handlers import Slack
from handlers.memory import Note
from service.domain.events import Topic
from tests.peers import sample_messages
from tests.peers.slack import SlackPeer
from tests.peers.slack.pictures.page import Shown

KINDS: Mapping[str, Mapping[Topic, Ours]] = {
    "realistic": sample_messages.realistic(),
    "hostile": sample_messages.hostile(),
    "oversized": sample_messages.oversized(),
}


class Remembered:
    """The memory of a handler that nothing happens to."""

    doubt = False

    def __init__(self) -> None:
        self._notes: dict[str, Note] = {}

    def get(self, key: str) -> Note | None:
        return self._notes.get(key)

    def put(self, key: str, note: Note) -> None:
        self._notes[key] = note


def by_bot(kind: str) -> Iterator[Shown]:
    """Each event as a message of its own, with what the bot writes into its thread."""
    with SlackPeer(paced=False) as peer, closing(_bot(peer)) as bot:
        for topic, message in KINDS[kind].items():
            bot.send(message)
            yield Shown.of(peer.messages()[-1], peer.channel(), f"bot, {kind}: {topic}")
        assert not peer.refused, peer.refused


def by_webhook(kind: str) -> Iterator[Shown]:
    """Each event that a webhook says."""
    with SlackPeer(paced=False) as peer, closing(Slack({"url": peer.webhook(), "allow_private": True})) as hook:
        for topic, message in KINDS[kind].items():
            before = len(peer.messages())
            hook.send(message)
            for posted in peer.messages()[before:]:
                yield Shown.of(posted, peer.channel(), f"webhook, {kind}: {topic}")
        assert not peer.refused, peer.refused


def of_a_run(messages: list[Ours]) -> Iterator[Shown]:
    """One run's message as it is edited from event to event."""
    memory = Remembered()
    with SlackPeer(paced=False) as peer, closing(_bot(peer)) as bot:
        for number, message in enumerate(messages):
            bot.send(message, memory)
            [posted] = peer.messages()
            yield Shown.of(posted, peer.channel(), f"{number + 1}. {message.event}")
        assert not peer.refused, peer.refused


def _bot(peer: SlackPeer) -> Slack:
    return Slack({"token": peer.token, "channel": "#ml", "api_url": peer.api_url, "allow_private": True})
