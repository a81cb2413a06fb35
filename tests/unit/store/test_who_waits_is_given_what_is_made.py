"""A transaction that makes work claims it for whoever waits for it, and says so with its commit."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from sqlalchemy import Connection, text

from service import faults
from service.errors import LeaseLost, StoreUnavailable
from service.settings import Settings
from service.store import Store, front, open_store, work
from service.store.models import work as table
from tests.unit.store.waiting import LONG_S, seek, waiting, want


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = code
    return error


def claimable(store: Store, kind: str = "sync") -> bool:
    return store.write(lambda conn: work.claim(conn, [kind], owner="other", now=store.now(), lease_s=60)) is not None


def test_work_that_is_made_is_claimed_for_who_waits_and_for_nobody_else(store: Store) -> None:
    with waiting(store, "sync") as worker:
        want(store)
        found = worker.result(20)
    assert found is not None
    assert (found.claim.kind, found.claim.key, found.opened) == ("sync", "x", None)
    assert not claimable(store)
    store.write(lambda conn: work.finish(conn, found.claim))


def test_who_claims_again_under_the_same_fence_is_not_who_claimed_before(store: Store) -> None:
    """As two threads of one process do, where a failover lost the commit of the first one's claim."""
    want(store)
    first = store.next_work(seek("sync"), LONG_S)
    assert first is not None
    lost = {"owner": None, "lease_until": None, "fence": table.c.fence - 1}
    store.write(lambda conn: conn.execute(table.update().values(lost)))
    second = store.next_work(seek("sync"), LONG_S)
    assert second is not None
    assert second.claim.fence == first.claim.fence
    store.write(lambda conn: work.check(conn, second.claim))
    with pytest.raises(LeaseLost):
        store.write(lambda conn: work.check(conn, first.claim))
    renewed = store.write(lambda conn: work.renew_all(conn, [first.claim, second.claim], now=store.now(), lease_s=60))
    assert list(renewed) == [second.claim]


def test_one_piece_is_given_to_one(store: Store) -> None:
    with waiting(store, "sync") as one, waiting(store, "sync", "launch") as other:
        want(store)
        done, _ = wait([one, other], 20, return_when="FIRST_COMPLETED")
        assert done
        store.wake()
        assert sorted([one.result(20) is None, other.result(20) is None]) == [False, True]


def test_who_waits_for_other_kinds_waits_on(sqlite_store: Store) -> None:
    with waiting(sqlite_store, "fetch") as worker:
        want(sqlite_store, "sync")
        time.sleep(0.05)
        assert not worker.done()
        want(sqlite_store, "fetch")
        assert worker.result(20) is not None
    assert claimable(sqlite_store, "sync")


def test_work_that_was_there_before_is_claimed_at_once(store: Store) -> None:
    want(store)
    found = store.next_work(seek("sync"), LONG_S)
    assert found is not None
    assert found.claim.key == "x"


def test_work_wanted_for_later_lets_who_waits_know_when(store: Store) -> None:
    began = store.now()
    with waiting(store, "sync") as worker:
        want(store, not_before=began + 2)
        assert worker.result(20) is None
    while (found := store.next_work(seek("sync"), LONG_S)) is None:
        pass
    assert store.now() >= began + 2
    assert found.claim.key == "x"


def test_work_that_is_put_down_and_wanted_again_is_given_to_who_waits(store: Store) -> None:
    want(store)
    first = store.next_work(seek("sync"), LONG_S)
    assert first is not None
    with waiting(store, "sync") as worker:
        want(store)
        time.sleep(0.05)
        assert not worker.done() or worker.result() is None, "somebody is at it"
    with waiting(store, "sync") as worker:
        store.write(lambda conn: work.finish(conn, first.claim))
        again = worker.result(20)
    assert again is not None
    assert again.claim.generation == first.claim.generation + 1


def test_the_first_change_of_a_step_is_made_with_the_claim_and_may_want_more(store: Store) -> None:
    def opening(conn: Connection, key: str) -> str:
        work.want(conn, "watch", key, now=store.now())
        return f"opened {key}"

    with waiting(store, "watch") as watcher:
        with waiting(store, "sync", sync=opening) as worker:
            want(store)
            found = worker.result(20)
        watched = watcher.result(20)
    assert found is not None
    assert found.opened == ("opened x",)
    assert watched is not None
    assert watched.claim.kind == "watch"


def test_a_first_change_that_fails_undoes_itself_and_nothing_else(store: Store) -> None:
    def opening(conn: Connection, key: str) -> None:
        work.want(conn, "launch", key, now=store.now())
        conn.execute(text("SELECT nonsense FROM nowhere"))

    with waiting(store, "sync", sync=opening) as worker:
        want(store)
        found = worker.result(20)
    assert found is not None
    assert found.opened is None
    with store.read() as conn:
        assert [(row.kind, row.owner) for row in work.waiting(conn)] == [("sync", found.claim.owner)]


@pytest.mark.parametrize(
    "error", [LookupError("no such savepoint"), sqlite_error(sqlite3.SQLITE_FULL)], ids=["gone", "full"]
)
def test_a_transaction_that_the_database_undid_in_a_first_change_is_not_said_to_be_written(
    sqlite_store: Store, error: Exception
) -> None:
    """As SQLite does when the disk is full: all that the transaction held is gone, whoever's it was."""

    def opening(conn: Connection, _key: str) -> None:
        driver = conn.connection.driver_connection
        assert driver is not None
        driver.execute("ROLLBACK")
        raise error

    with waiting(sqlite_store, "sync", sync=opening) as worker:
        with pytest.raises(StoreUnavailable):
            want(sqlite_store)
        assert worker.result(20) is None
    assert not claimable(sqlite_store)
    want(sqlite_store)
    assert claimable(sqlite_store)


def test_a_change_that_failed_gives_nothing_to_anybody(sqlite_store: Store) -> None:
    def change(conn: Connection) -> None:
        work.want(conn, "sync", "x", now=sqlite_store.now())
        raise LookupError

    with waiting(sqlite_store, "sync") as worker:
        with pytest.raises(LookupError):
            sqlite_store.write(change)
        sqlite_store.write(lambda conn: conn.execute(text("SELECT 1")).scalar())
        time.sleep(0.05)
        assert not worker.done()
    assert not claimable(sqlite_store)


def test_a_commit_that_failed_lets_who_waits_look_by_itself(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str) -> None:
        if name == "store.before-commit":
            monkeypatch.undo()
            raise OSError("the disk went away")

    with waiting(sqlite_store, "sync") as worker:
        monkeypatch.setattr(faults, "point", broken)
        with pytest.raises(StoreUnavailable):
            want(sqlite_store)
        assert worker.result(20) is None
    assert not claimable(sqlite_store)


def test_who_begins_to_wait_while_a_commit_is_on_its_way_is_woken_by_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked before the work was to be seen, and after the transaction had looked for who waits."""
    here, go = threading.Event(), threading.Event()

    def point(name: str) -> None:
        if name == "store.before-commit" and not here.is_set():
            here.set()
            assert go.wait(20)

    monkeypatch.setattr(faults, "point", point)
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(want, store)
        assert here.wait(20)
        with waiting(store, "sync") as worker:
            time.sleep(0.1)  # until it has looked, in vain
            go.set()
            made.result(20)
            began = store.now()
            found = worker.result(20) or store.next_work(seek("sync"), LONG_S)
            waited = store.now() - began
    assert found is not None
    assert waited < front._LOOK_S / 2, "it slept on until it looked by itself"


def test_a_claim_for_somebody_who_could_not_look_is_not_dropped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, go = threading.Event(), threading.Event()

    def next_due(*_: object) -> None:
        looks.set()
        assert go.wait(20)
        raise StoreUnavailable("all connections to the store are in use")

    monkeypatch.setattr(work, "next_due", next_due)
    with ThreadPoolExecutor(1) as pool:
        worker = pool.submit(store.next_work, seek("sync"), LONG_S)
        assert looks.wait(20)
        want(store)
        go.set()
        found = worker.result(20)
    assert found is not None
    assert found.claim.key == "x"


@pytest.mark.postgres
def test_a_first_change_that_waits_for_a_lock_keeps_no_other_change_from_being_written(
    postgres_settings: Settings,
) -> None:
    store, other = open_store(postgres_settings), open_store(postgres_settings)
    held, go = threading.Event(), threading.Event()

    def hold(conn: Connection) -> None:
        work.want(conn, "watch", "k", now=other.now())
        held.set()
        assert go.wait(20)

    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(other.write, hold)
        assert held.wait(20)
        opening = {"launch": lambda conn, _key: work.want(conn, "watch", "k", now=store.now())}
        with waiting(store, "launch", **opening) as worker:
            want(store, "launch")
            found = worker.result(20)
        go.set()
        holder.result(20)
    assert found is not None
    assert found.opened is None, "the step is to make it by itself"
    for one in (store, other):
        one.close()


def test_who_stops_waiting_at_the_very_moment_loses_nothing(store: Store) -> None:
    """Threads that wait for the shortest of times, while work is made: each piece is found once."""
    keys = [f"k{number}" for number in range(80)]
    found: Counter[str] = Counter()
    stop = threading.Event()

    def labour() -> None:
        while not stop.is_set():
            if (one := store.next_work(seek("sync"), 0.002)) is not None:
                found[one.claim.key] += 1
                store.write(lambda conn: work.finish(conn, one.claim))

    with ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(labour) for _ in range(3)]
        for key in keys:
            want(store, "sync", key)
        deadline = time.monotonic() + 30
        while found.total() < len(keys) and time.monotonic() < deadline:
            time.sleep(0.01)
        stop.set()
        for worker in workers:
            worker.result(20)
    assert found == Counter(keys)
