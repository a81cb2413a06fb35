"""Several processes on one PostgreSQL: one of them dies, is stopped in the middle of a change, or is cut off."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy import Connection, event, text

from service import limits
from service.errors import LeaseLost, SettingsError, StoreUnavailable
from service.reconciler.dispatcher import Dispatcher, Held
from service.reconciler.rooms import Rooms
from service.settings import Settings
from service.settings import Store as StoreSettings
from service.store import Found, Seek, Store, deliveries, notifications, open_store, runs, work
from service.store.impatient import ImpatientConnection
from tests.peers.postgres import Postgres
from tests.peers.wire import Wire
from tests.unit.store.rows import delivery, notification

pytestmark = pytest.mark.postgres


@pytest.fixture
def replicas(postgres_settings: Settings) -> Iterator[tuple[Store, Store]]:
    both = open_store(postgres_settings), open_store(postgres_settings)
    yield both
    for store in both:
        store.close()


def test_what_a_dead_replica_held_is_free_in_time_for_others_to_go_on_within_15_s(
    replicas: tuple[Store, Store],
) -> None:
    dead, living = replicas
    dead.write(lambda conn: work.want(conn, "sync", "x", now=dead.now()))
    now = dead.now()
    assert dead.write(lambda conn: work.claim(conn, ["sync"], owner="dead", now=now, lease_s=dead.lease_s))
    with living.read() as conn:
        due = work.next_due(conn, ["sync"])
    assert due is not None
    assert due - now < 15 - 2
    assert living.lease_s * (1 - 1 / limits.LEASE_RENEWALS) - 1 > limits.OUTSIDE_WRITE_TIMEOUT_S


def test_two_processes_have_the_same_clock(replicas: tuple[Store, Store]) -> None:
    one, other = replicas
    assert abs(one.now() - other.now()) < 0.5


def test_leases_begin_by_the_databases_clock_also_where_a_paused_machine_knows_of_no_pause(
    replicas: tuple[Store, Store],
) -> None:
    paused, other = replicas
    other.write(lambda conn: work.want(conn, "sync", "x", now=1.0))

    def right(until: float) -> bool:
        with other.read() as conn:
            row = work.get(conn, "sync", "x")
        assert row is not None
        return row.lease_until == until and abs(until - other.now() - 12) < 5 and abs(paused.now() - other.now()) < 5

    pause(paused)
    found = paused.next_work(Seek(kinds=("sync",), owner="me", lease_s=12), 5)
    assert found is not None
    assert right(found.claim.until)
    held = Held(paused, found)
    pause(paused)
    held.renew()
    assert right(held._until)
    pause(paused)
    at_place(paused, "")._renew({found.claim: held})
    assert right(held._until)
    pause(paused)
    at_place(paused, "")._renew({})
    assert right(held._until)


def pause(store: Store) -> None:
    """As a hypervisor does: no clock of the machine has moved afterwards."""
    store._clock._offset -= 30


def test_who_wants_to_know_the_time_needs_no_connection(
    replicas: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """He may be in a transaction, which would lie idle meanwhile."""
    store, _ = replicas
    taken: list[object] = []
    event.listen(store._readers, "checkout", lambda connection, *_: taken.append(connection))
    boot = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda clock: boot(clock) + 3600)
    store.write(lambda _: store.now())
    assert len(taken) == 1


def test_leases_are_renewed_together_but_for_those_that_are_lost_or_locked(replicas: tuple[Store, Store]) -> None:
    mine, theirs = replicas
    for key in ("kept", "lost", "locked"):
        mine.write(lambda conn, key=key: work.want(conn, "sync", key, now=1.0))  # type: ignore[misc]  # mypy: lambda default
    taken = [mine.write(lambda conn: work.claim(conn, ["sync"], owner="me", now=2.0, lease_s=1)) for _ in range(3)]
    claims = {claim.key: claim for claim in taken if claim is not None}
    theirs.write(lambda conn: work.claim(conn, ["sync"], owner="you", now=9.0, lease_s=60, keys=["lost"]))
    held, done = threading.Event(), threading.Event()

    def lock(conn: Connection) -> None:
        work.check(conn, claims["locked"])
        held.set()
        done.wait(20)

    with ThreadPoolExecutor(1) as pool:
        locking = pool.submit(theirs.write, lock)
        assert held.wait(20)
        renewed = mine.write(lambda conn: work.renew_all(conn, list(claims.values()), now=10.0, lease_s=60))
        done.set()
        locking.result(20)
    assert [claim.key for claim in renewed] == ["kept"]
    with pytest.raises(LeaseLost):
        mine.write(lambda conn: work.check(conn, claims["lost"]))


def test_a_replica_that_is_stopped_in_the_middle_of_a_change_holds_nobody_up_for_long(
    replicas: tuple[Store, Store],
) -> None:
    stopped, living = replicas
    stopped.write(lambda conn: work.want(conn, "sync", "x", now=1.0))
    locked, woken = threading.Event(), threading.Event()

    def change(conn: Connection) -> None:
        conn.execute(text("SET LOCAL idle_in_transaction_session_timeout = 300"))
        work.want(conn, "sync", "x", now=1.0)
        locked.set()
        woken.wait(20)
        conn.execute(text("SELECT 1"))

    with ThreadPoolExecutor(1) as pool:
        asleep = pool.submit(stopped.write, change)
        assert locked.wait(20)
        living.write(lambda conn: work.want(conn, "sync", "x", now=1.0))
        woken.set()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            asleep.result(20)
    with living.read() as conn:
        row = work.get(conn, "sync", "x")
        silence = conn.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one()
    assert row is not None
    assert row.wanted == 2
    assert silence == f"{limits.STORE_SILENCE_S:g}s"
    assert limits.STORE_SILENCE_S < limits.STORE_WRITE_TIMEOUT_S < limits.REPLICA_LEASE_S


def test_a_repository_whose_row_somebody_keeps_locked_holds_up_no_other(replicas: tuple[Store, Store]) -> None:
    """Neither those that wait in one batch with it, nor those that come while it waits."""
    stopped, living = replicas
    stopped.write(lambda conn: work.want(conn, "fetch", "stuck", now=1.0))
    locked, done = threading.Event(), threading.Event()

    def change(conn: Connection) -> None:
        work.want(conn, "fetch", "stuck", now=1.0)
        locked.set()
        while not done.wait(0.1):
            conn.execute(text("SELECT 1"))

    def want_all(conn: Connection, keys: Sequence[str]) -> list[str]:
        for key in keys:
            work.want(conn, "fetch", key, now=1.0)
        return list(keys)

    with ThreadPoolExecutor(10) as pool:
        asleep = pool.submit(stopped.write, change)
        assert locked.wait(20)
        try:
            stuck = [pool.submit(living.write_together, want_all, "stuck") for _ in range(3)]
            others = [pool.submit(living.write_together, want_all, f"other-{number}") for number in range(5)]
            began = time.monotonic()
            assert [one.result(20) for one in others] == [f"other-{number}" for number in range(5)]
            assert living.write_together(want_all, "later") == "later"
            assert time.monotonic() - began < limits.STORE_WRITE_TIMEOUT_S / 2
            assert not any(one.done() for one in stuck)
        finally:
            done.set()
        asleep.result(20)
        assert [one.result(20) for one in stuck] == ["stuck"] * 3
    with living.read() as conn:
        row = work.get(conn, "fetch", "stuck")
    assert row is not None
    assert row.wanted == 5


def test_an_answer_that_never_comes_is_waited_for_in_vain_but_not_for_good(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImpatientConnection, "patience_s", 0.5)
    with postgres.database() as direct, Wire(postgres.socket) as wire:
        name = direct.partition("@/")[2].partition("?")[0]
        url = f"postgresql+psycopg://tester@127.0.0.1:{wire.port}/{name}?connect_timeout=2"
        store = open_store(Settings(data_dir=tmp_path, store=StoreSettings(url=url)))
        row = delivery()
        wire.cut()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            store.write(lambda conn: deliveries.add(conn, row))
        wire.mend()
        store.write(lambda conn: deliveries.add(conn, row))
        with store.read() as conn:
            assert deliveries.get(conn, row.id) == row
        store.close()


def test_who_asks_for_what_no_text_can_hold_finds_nothing(replicas: tuple[Store, Store]) -> None:
    store, _ = replicas
    with store.read() as conn:
        assert runs.events(conn, "a\x00b") == []
        assert work.get(conn, "sync\x00", "x") is None
        assert deliveries.page(conn, cursor="a\x00b") == ([], None)


def test_who_was_held_up_writes_nothing_over_what_another_found_since(replicas: tuple[Store, Store]) -> None:
    late, quick = replicas
    late.write(lambda conn: work.want(conn, "fetch", "ml", now=1.0))
    claim = late.write(lambda conn: work.claim(conn, ["fetch"], owner="late", now=2.0, lease_s=1))
    assert claim is not None
    held, row = Held(late, Found(claim)), delivery()
    assert quick.write(lambda conn: work.claim(conn, ["fetch"], owner="quick", now=9.0, lease_s=60))
    with pytest.raises(LeaseLost):
        held.write(lambda conn: deliveries.add(conn, row))
    with pytest.raises(LeaseLost):
        held.open(lambda conn: deliveries.add(conn, row))
    with pytest.raises(LeaseLost):
        held.check()
    with late.read() as conn:
        assert deliveries.find(conn, row.id) is None


def test_only_one_passes_at_a_time_also_where_nothing_was_ever_wanted(replicas: tuple[Store, Store]) -> None:
    one, other = replicas
    inside, done = threading.Event(), threading.Event()
    order: list[str] = []

    def first(conn: Connection) -> None:
        work.lock(conn, "watch", "process")
        inside.set()
        done.wait(20)
        order.append("first")

    def second(conn: Connection) -> None:
        work.lock(conn, "watch", "process")
        order.append("second")

    with ThreadPoolExecutor(2) as pool:
        passing = [pool.submit(one.write, first)]
        assert inside.wait(20)
        passing.append(pool.submit(other.write, second))
        done.set()
        for one_of_them in passing:
            one_of_them.result(20)
    assert order == ["first", "second"]
    with one.read() as conn:
        assert not work.is_open(conn, "watch", "process")


def test_what_one_has_sent_no_other_calls_unsent(replicas: tuple[Store, Store]) -> None:
    quick, slow = replicas
    row = notification()
    quick.write(lambda conn: notifications.add(conn, row))
    quick.write(lambda conn: notifications.mark_sent(conn, row.id, now=5.0))
    slow.write(lambda conn: notifications.mark_attempt(conn, row.id, reason="no answer"))
    slow.write(lambda conn: notifications.mark_failed(conn, row.id, reason="no answer"))
    with slow.read() as conn:
        found = notifications.get(conn, row.id)
    assert (found.state, found.attempts, found.reason) == ("sent", 0, "")


def test_processes_whose_jobs_cannot_see_each_other_do_not_share_a_store(replicas: tuple[Store, Store]) -> None:
    """Until the lease of the one that is there is over: it may have been moved."""
    there, comes = replicas
    first = at_place(there, "0123abcd")
    there.write(lambda conn: work.want(conn, "watch", "process", now=1.0))
    at_place(comes, "4567cdef").check_place()
    now = there.now()
    seek = Seek(kinds=("watch",), owner=first.owner, lease_s=60)
    found = there.write(lambda conn: seek.take(conn, now))
    assert found is not None
    assert len(found.claim.owner) < 64
    at_place(comes, "0123abcd").check_place()
    with pytest.raises(SettingsError, match="works for the same store"):
        at_place(comes, "4567cdef").check_place()
    there.write(lambda conn: work.release_dead(conn, now=now))
    at_place(comes, "4567cdef").check_place()


def at_place(store: Store, place: str) -> Dispatcher:
    rooms = SimpleNamespace(store=store, place=place)
    return Dispatcher(cast(Rooms, rooms), {}, (), lambda _kind, _seconds: None)
