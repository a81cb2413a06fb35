from __future__ import annotations

from typing import Any

import pytest

from service.domain.states import DeliveryState, NotificationState, Outcome
from service.errors import NotFound
from service.store import Store, audit, deliveries, new_id, notifications, repositories
from tests.unit.store.rows import MAIN, NOW, delivery, notification


def add(store: Store, **also: Any) -> deliveries.Delivery:
    mine = delivery(**also)
    assert store.write(lambda conn: deliveries.add(conn, mine))
    return mine


def test_a_delivery_is_added_once(store: Store) -> None:
    mine = add(store)
    assert store.write(lambda conn: deliveries.add(conn, mine)) is False
    with store.read() as conn, pytest.raises(NotFound, match="no delivery none"):
        deliveries.get(conn, "none")


def test_the_first_delivery_of_each_of_a_forges_ids_is_found_within_its_hook(store: Store) -> None:
    first = add(store, forge_id="72d3")
    add(store, forge_id="72d3", state=DeliveryState.DUPLICATE)
    add(store, forge_id="72d3", hook="other")
    second = add(store, forge_id="72d4")
    with store.read() as conn:
        found = deliveries.by_forge_ids(conn, "fraud", ["72d4", "none", "72d3"])
    assert found == {"72d3": first.id, "72d4": second.id}


def test_deliveries_are_added_together_and_one_that_is_there_is_passed_over(store: Store) -> None:
    there, fresh = add(store), [delivery(body=b"{}"), delivery(headers={"x-github-event": "push"})]
    store.write(lambda conn: deliveries.add_all(conn, [there, *fresh]))
    with store.read() as conn:
        assert [deliveries.get(conn, row.id) for row in (there, *fresh)] == [there, *fresh]


def test_what_is_accepted_is_open_until_its_one_outcome(store: Store) -> None:
    one, two = add(store), add(store)
    add(store, repository="other")
    add(store, state=DeliveryState.IGNORED)

    def open_ids() -> list[str]:
        with store.read() as conn:
            return [row.id for row in deliveries.open_for(conn, "fraud")]

    assert open_ids() == [one.id, two.id]
    outcomes = [
        store.write(lambda conn, o=o: deliveries.set_outcome(conn, one.id, o, "why", now=NOW))  # type: ignore[misc]  # mypy: lambda default
        for o in (Outcome.SYNCED, Outcome.FAILED)
    ]
    assert outcomes == [True, False]
    assert open_ids() == [two.id]
    with store.read() as conn:
        told = deliveries.get(conn, one.id)
    assert (told.outcome, told.outcome_reason, told.outcome_at) == (Outcome.SYNCED, "why", NOW)


def test_a_body_accepted_unparsed_is_told_what_it_says_once(store: Store) -> None:
    mine = add(store, parsed=False, repository=None, ref=None, spool="x.zst")

    def tell(ref: str) -> bool:
        return store.write(
            lambda conn: deliveries.record_parsed(
                conn, mine.id, state=DeliveryState.ACCEPTED, event="push", repository="fraud", ref=ref, after="a" * 40
            )
        )

    assert (tell(MAIN), tell("refs/heads/other")) == (True, False)
    with store.read() as conn:
        assert [(row.ref, row.after) for row in deliveries.open_for(conn, "fraud")] == [(MAIN, "a" * 40)]


def test_a_repository_remembers_its_last_fetch_error_and_delivery(store: Store) -> None:
    def error(text: str) -> bool:
        return store.write(lambda conn: repositories.record_error(conn, "fraud", url="u", error=text, now=NOW))

    assert (error("gone"), error("still gone")) == (True, False)
    store.write(lambda conn: repositories.record_delivery(conn, "fraud", url="u", now=NOW + 1))
    with store.read() as conn:
        told = repositories.get(conn, "fraud")
        assert (told.error, told.error_at, told.delivered_at, told.fetched_at) == ("still gone", NOW, NOW + 1, None)
    store.write(lambda conn: repositories.record_fetch(conn, "fraud", url="v", default_branch="main", now=NOW + 2))
    assert error("gone again") is True
    with store.read() as conn:
        assert [(r.name, r.url, r.fetched_at, r.default_branch) for r in repositories.all(conn)] == [
            ("fraud", "u", NOW + 2, "main")
        ]
        with pytest.raises(NotFound):
            repositories.get(conn, "none")


def test_tips_follow_the_refs_and_remember_since_when_one_is_missing(store: Store) -> None:
    def tip(commit: str) -> None:
        store.write(lambda conn: repositories.set_tip(conn, "fraud", MAIN, commit, now=NOW))

    def missing(now: float, ref: str = MAIN) -> float:
        return store.write(lambda conn: repositories.mark_missing(conn, "fraud", ref, now=now))

    tip("a")
    tip("b")
    assert (missing(NOW + 10), missing(NOW + 70)) == (NOW + 10, NOW + 10)
    with store.read() as conn:
        assert repositories.tips(conn, "fraud") == {MAIN: "b"}
        assert repositories.refs(conn, "fraud")[MAIN].missing_since == NOW + 10
        assert repositories.tips(conn, "other") == {}
    tip("c")
    assert missing(NOW + 99) == NOW + 99, "it was there again in between"
    assert missing(NOW + 99, "refs/heads/unknown") == NOW + 99
    store.write(lambda conn: repositories.remove_tip(conn, "fraud", MAIN))
    with store.read() as conn:
        assert repositories.tips(conn, "fraud") == {}


def test_a_handler_hears_each_thing_once(store: Store) -> None:
    first = notification()
    assert store.write(lambda conn: notifications.add(conn, first)) == first
    assert store.write(lambda conn: notifications.add(conn, notification())) is None
    assert store.write(lambda conn: notifications.add(conn, notification(handler="slack"))) is not None


def test_a_notification_is_pending_until_it_left_or_was_given_up(store: Store) -> None:
    one, two = notification(key="1"), notification(key="2")
    for row in (one, two):
        store.write(lambda conn, row=row: notifications.add(conn, row))  # type: ignore[misc]  # mypy: lambda default
    store.write(lambda conn: notifications.mark_attempt(conn, one.id, reason="timeout"))
    store.write(lambda conn: notifications.mark_attempt(conn, one.id, reason="refused"))
    with store.read() as conn:
        tried = notifications.get(conn, one.id)
        assert (tried.state, tried.attempts, tried.reason) == (NotificationState.PENDING, 2, "refused")
        assert [row.id for row in notifications.pending(conn)] == [one.id, two.id]
    store.write(lambda conn: notifications.mark_failed(conn, one.id, reason="given up"))
    store.write(lambda conn: notifications.mark_sent(conn, two.id, now=NOW))
    with store.read() as conn:
        assert notifications.pending(conn) == []
        assert notifications.get(conn, one.id).state == NotificationState.FAILED
        assert notifications.get(conn, two.id).sent_at == NOW
    assert store.write(lambda conn: notifications.reset(conn, one.id)) is True
    assert store.write(lambda conn: notifications.reset(conn, "none")) is False
    with store.read() as conn:
        assert [(row.id, row.attempts) for row in notifications.pending(conn)] == [(one.id, 0)]


def test_what_somebody_did_is_kept(store: Store) -> None:
    entry = audit.Entry(id=new_id(), at=NOW, actor="ada", action="cancel", target="run 1", data={"reason": "wrong"})
    store.write(lambda conn: audit.add(conn, entry))
    with store.read() as conn:
        assert audit.page(conn, actor="ada", action="cancel", target="run 1") == ([entry], None)
        assert audit.page(conn, actor="bob") == ([], None)
