from __future__ import annotations

from collections.abc import Callable

import pytest

import handlers
from handlers import Message
from service import limits
from service.domain.states import NotificationState
from service.errors import LeaseLost
from service.notifier import Notifier
from service.settings import Settings
from service.store import Store, new_id, notifications
from service.store.notifications import Notification
from tests.unit.notifier.conftest import Receiver


def put(store: Store, title: str, handler: str = "hook") -> str:
    row = Notification(
        id=new_id(),
        handler=handler,
        event="run.failed",  # type: ignore[arg-type]  # as the column has it
        key=title,
        message={
            "key": title,
            "event": "run.failed",
            "severity": "error",
            "at": "2026-01-02T03:04:05Z",
            "title": title,
        },
        created_at=1.0,
    )
    store.write(lambda conn: notifications.add(conn, row))
    return row.id


def row(store: Store, id_: str) -> Notification:
    with store.read() as conn:
        return notifications.get(conn, id_)


def test_what_waits_leaves_in_order(notifier: Notifier, store: Store, receiver: Receiver) -> None:
    ids = [put(store, title) for title in "abc"]
    assert notifier.deliver("hook") is None
    assert receiver.got == ["a", "b", "c"]
    assert receiver.ids == ids
    assert {row(store, id_).state for id_ in ids} == {NotificationState.SENT}
    assert notifier.deliver("hook") is None
    assert len(receiver.got) == 3


def test_a_long_queue_lets_others_have_the_thread_and_goes_on(
    notifier: Notifier, store: Store, receiver: Receiver
) -> None:
    for i in range(45):
        put(store, f"{i:02}")
    calls = 0
    while notifier.deliver("hook") is not None:
        calls += 1
    assert calls == 2
    assert receiver.got == [f"{i:02}" for i in range(45)]


def test_what_could_not_leave_is_tried_later_and_blocks_nobody(
    notifier: Notifier, store: Store, receiver: Receiver
) -> None:
    bad, good = put(store, "bad"), put(store, "good")
    receiver.answers["bad"] = 503
    at = notifier.deliver("hook")
    assert at is not None
    assert at > store.now()
    assert (row(store, bad).attempts, row(store, bad).state) == (1, NotificationState.PENDING)
    assert "503" in row(store, bad).reason
    notifier.deliver("hook")
    assert row(store, good).state == NotificationState.SENT
    assert receiver.got == ["bad", "good", "bad"]


def test_pauses_grow_and_end_with_success(notifier: Notifier, store: Store, receiver: Receiver) -> None:
    put(store, "a")
    receiver.every = 500
    pauses = []
    for _ in range(6):
        at = notifier.deliver("hook")
        assert at is not None
        pauses.append(at - store.now())
    # Each is 1, 2, 4 ... seconds less a jitter of up to half of it.
    for i, pause in enumerate(pauses):
        assert 2**i / 2 - 0.5 <= pause <= 2**i
    receiver.every = 204
    assert notifier.deliver("hook") is None
    put(store, "b")
    receiver.every = 500
    at = notifier.deliver("hook")
    assert at is not None
    assert at - store.now() <= 1


def test_patience_that_the_other_side_asks_for_is_had(notifier: Notifier, store: Store, receiver: Receiver) -> None:
    put(store, "a")
    receiver.every, receiver.headers = 429, {"retry-after": "600"}
    at = notifier.deliver("hook")
    assert at is not None
    assert 590 <= at - store.now() <= 600
    put(store, "b")
    assert notifier.deliver("hook") == pytest.approx(at, abs=1), "what is announced meanwhile waits, too"
    assert receiver.got == ["a"]


def test_after_so_many_attempts_it_is_given_up(notifier: Notifier, store: Store, receiver: Receiver) -> None:
    id_ = put(store, "a")
    receiver.every = 500
    for _ in range(limits.NOTIFY_ATTEMPTS):
        assert row(store, id_).state == NotificationState.PENDING
        notifier.deliver("hook")
    assert row(store, id_).state == NotificationState.FAILED
    assert "500" in row(store, id_).reason
    assert notifier.deliver("hook") is None
    assert len(receiver.got) == limits.NOTIFY_ATTEMPTS


def test_what_is_rejected_is_given_up_at_once_and_the_next_one_leaves(
    notifier: Notifier, store: Store, receiver: Receiver
) -> None:
    bad, good = put(store, "bad"), put(store, "good")
    receiver.answers["bad"] = 400
    assert notifier.deliver("hook") is None
    assert row(store, bad).state == NotificationState.FAILED
    assert row(store, good).state == NotificationState.SENT


def test_resend_gives_all_attempts_again_under_the_same_id(
    notifier: Notifier, store: Store, receiver: Receiver
) -> None:
    id_ = put(store, "a")
    receiver.every = 400
    notifier.deliver("hook")
    receiver.every = 204
    store.write(lambda conn: notifier.resend(conn, id_))
    assert notifier.deliver("hook") is None
    assert row(store, id_).state == NotificationState.SENT
    assert receiver.ids == [id_, id_]


def test_messages_to_a_handler_that_was_taken_out_are_given_up(notifier: Notifier, store: Store) -> None:
    id_ = put(store, "a", handler="gone")
    assert notifier.deliver("gone") is None
    assert row(store, id_).state == NotificationState.FAILED
    assert "gone" in row(store, id_).reason


def test_nothing_is_sent_once_the_work_is_somebody_elses(notifier: Notifier, store: Store, receiver: Receiver) -> None:
    ids = [put(store, title) for title in "ab"]

    def lost() -> None:
        if receiver.got:
            raise LeaseLost("somebody else has it")

    with pytest.raises(LeaseLost):
        notifier.deliver("hook", lost)
    assert receiver.got == ["a"]
    assert row(store, ids[1]).state == NotificationState.PENDING


def test_a_handler_with_a_bug_is_a_handler_that_fails_and_its_words_are_not_repeated(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(handlers.Console):
        def send(self, message: Message) -> None:
            raise KeyError("canary-of-a-secret")

    monkeypatch.setitem(handlers.KINDS, "console", Broken)
    id_ = put(store, "a", handler="quiet")
    at = Notifier(settings, store).deliver("quiet")
    assert at is not None
    reason = row(store, id_).reason
    assert "KeyError at test_delivering.py" in reason
    assert "canary" not in reason + caplog.text


def test_a_handler_that_fails_does_not_hold_another_up(
    notifier: Notifier, store: Store, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.every = 500
    put(store, "a", handler="hook")
    put(store, "b", handler="quiet")
    assert notifier.deliver("hook") is not None
    assert notifier.deliver("quiet") is None
    assert "run.failed b" in capsys.readouterr().out


def test_a_crash_between_sending_and_remembering_sends_again_with_the_same_id(
    settings: Settings, store: Store, receiver: Receiver
) -> None:
    """As seen by the next process: the message is still pending."""
    id_ = put(store, "a")
    forget = _forgetting(store)
    with pytest.raises(SystemExit):
        Notifier(settings, forget).deliver("hook")
    assert Notifier(settings, store).deliver("hook") is None
    assert receiver.ids == [id_, id_]


class _Forgetting:
    """The store of a process that dies at its first write."""

    def __init__(self, store: Store) -> None:
        self.read, self.now = store.read, store.now

    def write(self, change: Callable[..., object]) -> None:
        raise SystemExit


def _forgetting(store: Store) -> Store:
    return _Forgetting(store)  # type: ignore[return-value]  # the part of it that is used
