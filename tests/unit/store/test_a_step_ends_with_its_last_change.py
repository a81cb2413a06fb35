"""The last change of a step puts its work down in the same transaction, if it says that nothing is left to do."""

from __future__ import annotations

import pytest

from service import limits
from service.errors import LeaseLost
from service.reconciler.dispatcher import Held
from service.store import Store, work
from service.store.waiters import Found
from service.store.work import Work


def held(store: Store) -> Held:
    def change(conn):
        work.want(conn, "sync", "x", now=store.now())
        return work.claim(conn, ["sync"], owner="me", now=store.now(), lease_s=limits.LEASE_S)

    claim = store.write(change)
    assert claim is not None
    return Held(store, Found(claim))


def row(store: Store) -> Work:
    with store.read() as conn:
        found = work.get(conn, "sync", "x")
    assert found is not None
    return found


def test_what_is_done_is_put_down(store: Store) -> None:
    mine = held(store)
    mine.close(lambda _: True)
    assert mine.is_put_down
    assert (row(store).done, row(store).owner) == (1, None)


def test_what_is_not_done_stays_ours(store: Store) -> None:
    mine = held(store)
    mine.close(lambda _: False)
    assert not mine.is_put_down
    assert (row(store).done, row(store).owner) == (0, "me")


def test_a_change_that_fails_puts_nothing_down(store: Store) -> None:
    mine = held(store)
    with pytest.raises(ZeroDivisionError):
        mine.close(lambda _: bool(1 / 0))
    assert not mine.is_put_down
    assert row(store).owner == "me"


def test_what_was_wanted_meanwhile_is_work_again(store: Store) -> None:
    mine = held(store)
    store.write(lambda conn: work.want(conn, "sync", "x", now=store.now()))
    mine.close(lambda _: True)
    assert (row(store).wanted, row(store).done, row(store).owner) == (2, 1, None)


def test_who_lost_the_lease_changes_nothing(store: Store) -> None:
    mine = held(store)
    later = store.now() + limits.LEASE_S + 1
    store.write(lambda conn: work.claim(conn, ["sync"], owner="other", now=later, lease_s=limits.LEASE_S))

    def change(conn):
        work.want(conn, "launch", "never", now=store.now())
        return True

    with pytest.raises(LeaseLost):
        mine.close(change)
    with store.read() as conn:
        assert work.get(conn, "launch", "never") is None
    assert row(store).owner == "other"
