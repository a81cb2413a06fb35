"""The memory of a handler, with the real Slack handler in front of the stand-in: one message a run, whatever happens between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from service import limits
from service.domain import messages
from service.domain.events import Topic
from service.domain.messages import RunFacts, Where
from service.domain.states import NotificationState, RunState
from service.domain.steps import Step, StepState
from service.notifier import Notifier, a_test_message
from service.notifier.memory import Notes
from service.settings import Settings
from service.store import Store, handler_notes, notifications, open_store
from tests.peers.slack import SlackPeer

STATES = {
    Topic.RUN_QUEUED: RunState.QUEUED,
    Topic.RUN_STARTED: RunState.RUNNING,
    Topic.RUN_PROGRESS: RunState.RUNNING,
    Topic.RUN_SUCCEEDED: RunState.SUCCEEDED,
}


class Stage:
    """A store, a stand-in for Slack, and as many notifiers as there are processes in a test."""

    def __init__(self, store: Store, settings: Settings, peer: SlackPeer) -> None:
        self.store, self.settings, self.peer = store, settings, peer
        self.made: list[Notifier] = []

    def process(self, store: Store | None = None) -> Notifier:
        self.made.append(Notifier(self.settings, store or self.store))
        return self.made[-1]

    def close(self) -> None:
        for notifier in self.made:
            notifier.close()

    def announce(self, topic: Topic, run: str = "r1", steps: int = 0) -> None:
        facts = RunFacts(
            id=run,
            workflow="main",
            state=STATES[topic],
            results={"auc": 0.93} if topic is Topic.RUN_SUCCEEDED else None,
            steps=[Step(f"s{n}", StepState.SUCCEEDED, 1.0) for n in range(steps)],
        )
        content = messages.of_run(topic, Where(project="fraud"), facts)
        self.store.write(lambda conn: self.made[0].announce(conn, content, run=run))

    def head(self) -> str:
        """What the one message says."""
        [message] = self.peer.messages()
        return str(message.blocks[0]["text"]["text"])

    def asked(self) -> list[str]:
        return [call.method for call in self.peer.calls]

    def states(self) -> list[NotificationState]:
        with self.store.read() as conn:
            return [one.state for one in notifications.page(conn)[0][::-1]]


@pytest.fixture
def peer() -> Iterator[SlackPeer]:
    with SlackPeer(paced=False) as server:
        yield server
        assert server.refused == []


@pytest.fixture
def stage(tmp_path: Path, peer: SlackPeer) -> Iterator[Stage]:
    handler = {
        "kind": "slack", "token": peer.token, "channel": "#ml", "api_url": peer.api_url, "allow_private": True,
    }  # fmt: skip
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "handlers": {"team": handler}, "notify": [{"to": "team"}]}
    )
    store = open_store(settings)
    made = Stage(store, settings, peer)
    made.process()
    yield made
    made.close()
    store.close()


def test_a_run_is_one_message_for_one_process_and_nothing_is_looked_for(stage: Stage) -> None:
    notifier = stage.made[0]
    for fence, topic in enumerate((Topic.RUN_QUEUED, Topic.RUN_STARTED, Topic.RUN_SUCCEEDED), start=7):
        stage.announce(topic)
        assert notifier.deliver("team", fence=fence) is None
    assert "succeeded" in stage.head()
    posts = ["chat.postMessage", "chat.update", "chat.update", "chat.postMessage"]
    first = [method for method in stage.asked() if method not in posts]
    assert set(first) <= {"conversations.list", "conversations.history"}, (
        "only the first message of a process is in doubt"
    )
    assert [method for method in stage.asked() if method in posts] == posts


def test_what_is_announced_after_the_first_look_is_in_no_doubt(stage: Stage) -> None:
    notifier = stage.made[0]
    assert notifier.deliver("team", fence=1) is None
    for fence, run in enumerate(("a", "b", "c"), start=2):
        stage.announce(Topic.RUN_QUEUED, run)
        assert notifier.deliver("team", fence=fence) is None
    assert stage.asked() == ["chat.postMessage"] * 3


def test_a_crash_between_slacks_answer_and_our_note_leaves_one_message(stage: Stage) -> None:
    stage.announce(Topic.RUN_QUEUED)
    with pytest.raises(SystemExit):
        stage.process(_dying(stage.store)).deliver("team", fence=1)
    assert len(stage.peer.messages()) == 1
    stage.announce(Topic.RUN_SUCCEEDED)
    assert stage.process().deliver("team", fence=2) is None
    assert "succeeded" in stage.head()
    [message] = stage.peer.messages()
    assert len(stage.peer.channel().thread(message.ts)) == 1


def test_a_process_that_lost_the_work_for_a_while_looks_too(stage: Stage) -> None:
    """Two processes on one store: the slow one wakes up when the other has sent and died unseen."""
    slow = stage.made[0]
    assert slow.deliver("team", fence=1) is None
    stage.announce(Topic.RUN_STARTED)
    with pytest.raises(SystemExit):
        stage.process(_dying(stage.store)).deliver("team", fence=2)
    assert slow.deliver("team", fence=3) is None
    assert len(stage.peer.messages()) == 1


def test_a_store_that_refuses_after_slack_answered_does_not_say_it_twice(stage: Stage) -> None:
    notifier = stage.process(broken := _breaking(stage.store))
    stage.announce(Topic.RUN_QUEUED)
    with pytest.raises(RuntimeError):
        notifier.deliver("team", fence=1)
    broken.works = True  # type: ignore[attr-defined]
    assert notifier.deliver("team", fence=2) is None
    assert len(stage.peer.messages()) == 1


def test_the_place_of_a_message_outlives_the_process(stage: Stage) -> None:
    stage.announce(Topic.RUN_QUEUED)
    assert stage.made[0].deliver("team", fence=1) is None
    before = len(stage.peer.calls)
    stage.announce(Topic.RUN_SUCCEEDED)
    assert stage.process().deliver("team", fence=9) is None
    assert stage.asked()[before] == "chat.update"
    assert "succeeded" in stage.head()


def test_what_was_said_before_a_failure_is_remembered(stage: Stage) -> None:
    """The message is there, its thread met a limit: the next attempt goes on where this one ended."""
    assert stage.made[0].deliver("team", fence=1) is None
    stage.peer.faults.too_many(method="chat.postMessage", skip=1)
    stage.announce(Topic.RUN_SUCCEEDED)
    at = stage.made[0].deliver("team", fence=2)
    assert at is not None
    while stage.store.now() < at:
        time.sleep(0.01)
    assert stage.made[0].deliver("team", fence=3) is None
    [message] = stage.peer.messages()
    assert len(stage.peer.channel().thread(message.ts)) == 1
    assert "conversations.history" not in stage.asked()


def test_progress_that_waits_gives_way_to_newer_progress_of_its_run(stage: Stage) -> None:
    for count in range(1, 6):
        stage.announce(Topic.RUN_PROGRESS, "a", steps=count)
    stage.announce(Topic.RUN_PROGRESS, "b", steps=1)
    waiting, passed = NotificationState.PENDING, NotificationState.SUPERSEDED
    assert stage.states() == [passed] * 4 + [waiting] * 2
    assert stage.made[0].deliver("team", fence=1) is None
    posts = [call for call in stage.peer.calls if call.method == "chat.postMessage"]
    assert len(posts) == 2
    assert "s4" in str(stage.peer.messages()[0].blocks)


def test_progress_that_left_stays_sent(stage: Stage) -> None:
    stage.announce(Topic.RUN_PROGRESS, steps=1)
    assert stage.made[0].deliver("team", fence=1) is None
    stage.announce(Topic.RUN_PROGRESS, steps=2)
    assert stage.states() == [NotificationState.SENT, NotificationState.PENDING]


def test_the_same_progress_twice_is_one_row(stage: Stage) -> None:
    for _ in range(2):
        stage.announce(Topic.RUN_PROGRESS, steps=1)
    assert stage.states() == [NotificationState.PENDING]


def test_a_test_message_teaches_the_channels_id(stage: Stage) -> None:
    stage.made[0].test("team", a_test_message("team"))
    with stage.store.read() as conn:
        assert handler_notes.find(conn, "team", "channel") == {"name": "#ml", "id": stage.peer.channel().id}


def test_notes_that_nobody_touched_for_a_month_are_forgotten_and_each_handler_has_its_own(store: Store) -> None:
    def put(conn: Connection) -> None:
        handler_notes.put(conn, "a", "old", {"ts": "1"}, now=0.0)
        handler_notes.put(conn, "b", "old", {"ts": "2"}, now=0.0)
        handler_notes.put(conn, "a", "new", {"ts": "3"}, now=limits.HANDLER_NOTE_S + 1)
        handler_notes.put(conn, "a", "new", {"ts": "4"}, now=limits.HANDLER_NOTE_S + 1)

    store.write(put)
    with store.read() as conn:
        found = {(h, k): handler_notes.find(conn, h, k) for h in ("a", "b") for k in ("old", "new")}
    assert found == {("a", "old"): None, ("a", "new"): {"ts": "4"}, ("b", "old"): {"ts": "2"}, ("b", "new"): None}


def test_a_note_that_no_column_holds_is_refused_before_anything_leaves_twice(stage: Stage) -> None:
    """Were it refused only when the message is settled, the message would leave again and again."""
    notes = Notes(stage.store, "team")
    notes.put("k" * 200, {"ts": "1"})
    stage.store.write(notes.keep)
    with pytest.raises(ValueError, match="201"):
        notes.put("k" * 201, {"ts": "1"})


def _dying(store: Store) -> Store:
    """The store of a process that dies at its first write."""
    return _Spoiled(store, SystemExit())  # type: ignore[return-value]  # the part of it that is used


def _breaking(store: Store) -> Store:
    return _Spoiled(store, RuntimeError("no space left"))  # type: ignore[return-value]


class _Spoiled:
    def __init__(self, store: Store, error: BaseException) -> None:
        self.now = store.now
        self.works = False
        self._store, self._error = store, error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._store.read() as conn:
            yield conn

    def write(self, change: Callable[[Connection], Any]) -> Any:
        if not self.works:
            raise self._error
        return self._store.write(change)
