"""What `Store.write` promises to each of many callers at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from service.domain.states import Outcome
from service.errors import StoreUnavailable
from service.settings import Settings
from service.store import Store, deliveries, open_store, work
from service.store.deliveries import Delivery
from tests.unit.store.rows import delivery

WAIT_S = 20.0


@contextmanager
def busy(store: Store) -> Iterator[Callable[[], None]]:
    """The writer is held inside a change until the function is called (or the block ends)."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(_conn: Connection) -> None:
        begun.set()
        assert go_on.wait(WAIT_S)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(store.write, hold, WAIT_S)
        assert begun.wait(WAIT_S)
        try:
            yield go_on.set
        finally:
            go_on.set()
            held.result(WAIT_S)


def queued(store: Store, count: int) -> None:
    """Wait until so many changes wait for the writer."""
    waiting = store._writer._batches._queue  # type: ignore[attr-defined]  # there is no other way to know that a thread has come that far
    deadline = threading.Event()
    for _ in range(2000):
        if len(waiting) >= count:
            return
        deadline.wait(0.005)
    raise AssertionError(f"{len(waiting)} of {count} changes were queued")


def stored(store: Store) -> set[str]:
    with store.read() as conn:
        return set(conn.execute(text("SELECT id FROM deliveries")).scalars())


def test_what_a_change_returns_comes_back_and_is_there_for_the_next_reader(store: Store) -> None:
    mine = delivery(headers={"x-github-event": "push"}, body=b"\x00\xff{}")
    assert store.write(lambda conn: deliveries.add(conn, mine)) is True
    with store.read() as conn:
        assert deliveries.get(conn, mine.id) == mine


def test_a_change_that_raises_leaves_no_trace_and_its_error_reaches_its_caller(store: Store) -> None:
    mine = delivery()

    def change(conn: Connection) -> None:
        deliveries.add(conn, mine)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        store.write(change)
    assert stored(store) == set()


def test_a_timeout_error_of_the_change_itself_is_the_callers(store: Store) -> None:
    def change(_conn: Connection) -> None:
        raise TimeoutError("of the change")

    with pytest.raises(TimeoutError, match="of the change"):
        store.write(change)


@contextmanager
def bursting(store: Store) -> Iterator[Callable[[], None]]:
    """What is written together waits until the function is called (or the block ends)."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(_conn: Connection, _items: Sequence[None]) -> list[None]:
        begun.set()
        assert go_on.wait(WAIT_S)
        return [None]

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(store.write_together, hold, None, WAIT_S)
        assert begun.wait(WAIT_S)
        try:
            yield go_on.set
        finally:
            go_on.set()
            held.result(WAIT_S)


def test_changes_that_wait_together_are_one_call_and_each_gets_its_own_answer(store: Store) -> None:
    calls: list[list[int]] = []

    def double(_conn: Connection, numbers: Sequence[int]) -> list[int]:
        calls.append(list(numbers))
        return [2 * number for number in numbers]

    with ThreadPoolExecutor(10) as pool, bursting(store) as go_on:
        answers = [pool.submit(store.write_together, double, number) for number in range(10)]
        queued(store, 10)
        go_on()
        assert [answer.result(WAIT_S) for answer in answers] == [2 * number for number in range(10)]
    assert [sorted(call) for call in calls] == [list(range(10))]


def test_one_bad_row_fails_alone_among_those_that_are_written_together(store: Store) -> None:
    rows = [delivery() for _ in range(9)]
    bad = replace(rows[4], hook="x" * 500)

    def add_all(conn: Connection, some: Sequence[Delivery]) -> list[str]:
        deliveries.add_all(conn, some)
        work.want(conn, "fetch", "fraud", now=1.0)
        return [row.id for row in some]

    with ThreadPoolExecutor(10) as pool, bursting(store) as go_on:
        good = [pool.submit(store.write_together, add_all, row) for row in rows if row.id != bad.id]
        failed = pool.submit(store.write_together, add_all, bad)
        queued(store, 9)
        go_on()
        assert {answer.result(WAIT_S) for answer in good} == {row.id for row in rows} - {bad.id}
        assert isinstance(failed.exception(WAIT_S), ValueError)
    assert stored(store) == {row.id for row in rows} - {bad.id}


def test_rows_that_are_written_together_are_read_back_as_they_were(store: Store) -> None:
    plain, whole = (
        delivery(),
        delivery(
            forge_id="1-2",
            reason='a "quoted", \\ {word} and NULL',
            before="a" * 40,
            headers={"x-github-event": "push"},
            size=3,
            body=b"\x00\xff\\{}",
            parsed=False,
            outcome=Outcome.SYNCED,
            outcome_at=2.5,
        ),
    )
    store.write(lambda conn: deliveries.add_all(conn, [plain, whole, plain]))
    with store.read() as conn:
        assert [deliveries.get(conn, row.id) for row in (plain, whole)] == [plain, whole]


def test_a_burst_that_had_not_begun_when_its_caller_was_refused_is_never_written(store: Store) -> None:
    late = delivery()

    def add_all(conn: Connection, some: Sequence[Delivery]) -> list[None]:
        deliveries.add_all(conn, some)
        return [None for _ in some]

    with bursting(store) as go_on:
        with pytest.raises(StoreUnavailable, match="nothing was written"):
            store.write_together(add_all, late, 0.05)
        go_on()
    store.write_together(add_all, delivery())
    assert late.id not in stored(store)


def test_what_is_written_together_is_written_alone_where_nobody_else_waits(store: Store) -> None:
    assert store.write_together(lambda _conn, items: [item + 1 for item in items], 1) == 2

    def failing(_conn: Connection, items: Sequence[int]) -> list[int]:
        raise LookupError(items[0])

    with pytest.raises(LookupError, match="1"):
        store.write_together(failing, 1)


def test_one_bad_row_fails_alone_among_those_that_share_its_commit(sqlite_store: Store) -> None:
    good = [delivery() for _ in range(20)]
    results: list[Future[object]] = []

    def broken(conn: Connection) -> None:
        deliveries.add(conn, delivery(id="broken"))
        conn.execute(text("INSERT INTO runs (id, sync) VALUES ('r', 'no such sync')"))

    def raising(conn: Connection) -> None:
        deliveries.add(conn, delivery(id="raising"))
        raise ZeroDivisionError

    with ThreadPoolExecutor(30) as pool, busy(sqlite_store) as go_on:
        for index, row in enumerate(good):
            results.append(pool.submit(sqlite_store.write, lambda conn, row=row: deliveries.add(conn, row)))
            if index == 7:
                failed = pool.submit(sqlite_store.write, broken)
            if index == 14:
                raised = pool.submit(sqlite_store.write, raising)
        queued(sqlite_store, 22)
        go_on()
        assert all(result.result(WAIT_S) for result in results)
        assert isinstance(failed.exception(WAIT_S), IntegrityError)
        assert isinstance(raised.exception(WAIT_S), ZeroDivisionError)
    assert stored(sqlite_store) == {row.id for row in good}


def test_a_change_that_had_not_begun_when_its_caller_was_refused_never_runs(sqlite_store: Store) -> None:
    late, ran = delivery(), threading.Event()

    def change(conn: Connection) -> None:
        ran.set()
        deliveries.add(conn, late)

    with busy(sqlite_store) as go_on:
        with pytest.raises(StoreUnavailable, match="nothing was written"):
            sqlite_store.write(change, timeout_s=0.05)
        go_on()
    sqlite_store.write(lambda conn: deliveries.add(conn, delivery()))
    assert not ran.is_set()
    assert late.id not in stored(sqlite_store)


def test_a_caller_whose_change_is_under_way_is_told_that_it_may_still_be_written(sqlite_store: Store) -> None:
    go_on = threading.Event()
    with pytest.raises(StoreUnavailable, match="may still be written"):
        sqlite_store.write(lambda _conn: go_on.wait(WAIT_S), timeout_s=0.05)
    go_on.set()


def test_a_change_that_writes_through_the_store_again_is_refused_instead_of_waiting_for_itself(
    sqlite_store: Store,
) -> None:
    with pytest.raises(RuntimeError, match="wait for itself"):
        sqlite_store.write(lambda _conn: sqlite_store.write(lambda _inner: None))


def test_many_writers_at_once_all_get_their_own_answer(store: Store) -> None:
    rows = [delivery(size=number) for number in range(200)]

    def change(conn: Connection, number: int) -> int:
        deliveries.add(conn, rows[number])
        return number

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: store.write(lambda conn: change(conn, n)), range(200)))
    assert answers == list(range(200))
    assert stored(store) == {row.id for row in rows}


def test_writing_through_a_reader_is_refused(store: Store) -> None:
    with pytest.raises((DBAPIError, StoreUnavailable)), store.read() as conn:
        deliveries.add(conn, delivery())
    assert stored(store) == set()


def test_a_reader_sees_one_moment_however_long_it_reads(store: Store) -> None:
    store.write(lambda conn: deliveries.add(conn, delivery()))
    with store.read() as conn:
        before = len(deliveries.page(conn)[0])
        store.write(lambda conn: deliveries.add(conn, delivery()))
        assert len(deliveries.page(conn)[0]) == before == 1
    with store.read() as conn:
        assert len(deliveries.page(conn)[0]) == 2


def test_closing_writes_what_waits_and_refuses_what_comes_after(sqlite_settings: Settings) -> None:
    store = open_store(sqlite_settings)
    mine = delivery()
    with ThreadPoolExecutor(2) as pool:
        with busy(store) as go_on:
            waiting = pool.submit(store.write, lambda conn: deliveries.add(conn, mine))
            queued(store, 1)
            closing = pool.submit(store.close)
            go_on()
        assert waiting.result(WAIT_S) is True
        closing.result(WAIT_S)
    with pytest.raises(StoreUnavailable, match="closed"):
        store.write(lambda conn: deliveries.add(conn, delivery()))
    with pytest.raises(StoreUnavailable, match="closed"), store.read():
        pass
    again = open_store(sqlite_settings)
    assert stored(again) == {mine.id}
    again.close()


def test_the_writer_forces_each_commit_to_the_disk(sqlite_store: Store) -> None:
    def pragmas(conn: Connection) -> list[object]:
        names = ("synchronous", "journal_mode", "foreign_keys")
        return [conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert sqlite_store.write(pragmas) == [2, "wal", 1]


@pytest.mark.parametrize("batch", [1, 3])
def test_the_size_of_a_batch_is_a_choice(sqlite_settings: Settings, batch: int) -> None:
    store = open_store(sqlite_settings, batch=batch)
    rows = [delivery() for _ in range(10)]
    with ThreadPoolExecutor(10) as pool:
        assert all(pool.map(lambda row: store.write(lambda conn: deliveries.add(conn, row)), rows))
    assert stored(store) == {row.id for row in rows}
    store.close()


def test_a_text_longer_than_its_column_is_refused_and_one_for_people_is_cut(store: Store) -> None:
    with pytest.raises(ValueError, match=r"deliveries\.ref holds 255 characters, not 256"):
        store.write(lambda conn: deliveries.add(conn, delivery(ref="r" * 256)))
    mine = delivery(pusher="p" * 300)
    store.write(lambda conn: deliveries.add(conn, mine))
    with store.read() as conn:
        assert deliveries.get(conn, mine.id) == replace(mine, pusher="p" * 199 + "…")


def test_a_nul_in_a_text_does_not_make_one_database_refuse_what_the_other_takes(store: Store) -> None:
    mine = delivery(reason="a\x00b", headers={"x": "\x00"})
    store.write(lambda conn: deliveries.add(conn, mine))
    with store.read() as conn:
        assert deliveries.get(conn, mine.id) == replace(mine, reason="a\ufffdb")
