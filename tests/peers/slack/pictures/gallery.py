"""Every event × Slack mode, made by the real handler against the stand-in and read back from it: what there is to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing

from handlers import Message as Ours
from handlers import Slack
from handlers.memory import Note
from service.domain import messages
from service.domain.events import Topic
from service.domain.steps import Step, StepState
from tests.peers.slack import SlackPeer
from tests.peers.slack.pictures.page import Shown
from tests.unit.handlers import every_message

KINDS: Mapping[str, Mapping[Topic, Ours]] = {
    "realistic": every_message.realistic(),
    "hostile": every_message.hostile(),
    "oversized": every_message.oversized(),
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


STEPS = ("download", "clean", "validate", "split", "features", "train-linear", "train-forest", "train-boosted", "compare",
         "evaluate", "explain", "register")  # fmt: skip


def a_run(end: Topic) -> list[Ours]:
    """The news of a run of twelve steps, as the service tells them: some of its progress, and its end."""
    broken = end is not Topic.RUN_SUCCEEDED
    news: list[tuple[Topic, tuple[Step, ...]]] = [(Topic.RUN_QUEUED, ()), (Topic.RUN_STARTED, ())]
    news += [(Topic.RUN_PROGRESS, _steps(done, StepState.RUNNING)) for done in (1, 7)]
    last = StepState.FAILED if end is Topic.RUN_FAILED else StepState.UNFINISHED
    news += [(end, _steps(7, last) if broken else _steps(len(STEPS), None))]
    return [
        every_message.message(
            messages.of_run(topic, every_message.where(), every_message.run_facts(topic, steps=steps)),
            f"01k9zr{number:020}",
        )
        for number, (topic, steps) in enumerate(news)
    ]


def _steps(done: int, last: StepState | None) -> tuple[Step, ...]:
    """`done` steps, and one after them that is in the state `last`."""
    steps = [Step(name, StepState.SUCCEEDED, 1.5 * 3**number % 400) for number, name in enumerate(STEPS[:done])]
    return (*steps, *([Step(STEPS[done], last)] if last else []))


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
