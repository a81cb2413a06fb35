"""How a change becomes durable before `write` returns.

On SQLite a commit costs an fsync, and SQLite has one writer anyway: one thread takes every change that waits, runs
each in a savepoint of one transaction, commits once and then answers all. On PostgreSQL the server shares its fsyncs among
concurrent commits, so each change is a transaction of its own on its caller's thread.

Changes that are the same function of different items are one call on both, so that a burst of webhooks costs a few statements and not a few
each; and on PostgreSQL not a commit each, while the next one waits for the row of the fetch that all of them want.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service import faults, limits
from service.errors import StoreUnavailable
from service.store import wanted
from service.store.batches import Batches, Item, Together, Waiting, closed, fail, groups
from service.store.database import is_conflict, is_locked, pool_exhausted, unavailable
from service.store.waiters import Served, Waiters

T = TypeVar("T")
Change = Callable[[Connection], T]
# Serialization failures and deadlocks are nobody's fault; more than so many in a row are a bug.
_ATTEMPTS = 5
# What comes in bursts has one thread, which waits so long for rows that somebody else has locked: many times what a change takes.
BURST_PATIENCE_S = 0.3
_PATIENCE = text("SELECT set_config('lock_timeout', :milliseconds, true)")


class Writer(Protocol):
    def write(self, change: Change[T], timeout_s: float) -> T: ...

    def write_together(self, change: Together[Item, T], item: Item, timeout_s: float) -> T: ...

    def close(self) -> None: ...


class BatchWriter:
    """SQLite: one thread, and a transaction a batch."""

    def __init__(self, engine: Engine, *, batch: int, waiters: Waiters) -> None:
        self._engine = engine
        self._waiters = waiters
        self._batches = Batches(self._commit, size=batch)

    def write(self, change: Change[T], timeout_s: float) -> T:
        return self.write_together(lambda connection, _: [change(connection)], None, timeout_s)

    def write_together(self, change: Together[Item, T], item: Item, timeout_s: float) -> T:
        return self._batches.put(change, item, timeout_s)

    def close(self) -> None:
        """Finish what waits, then end."""
        self._batches.close()

    def _commit(self, batch: list[Waiting]) -> None:
        """One transaction. A change that raises fails alone; a database that fails fails them all."""
        answers: list[tuple[Waiting, Any]] = []
        work: set[str] = set()
        served = Served(self._waiters)
        try:
            with self._engine.connect() as connection:
                try:
                    with connection.begin():
                        for group in groups(batch):
                            answers += self._try(connection, group, work)
                        served = self._waiters.serve(connection, work)
                        faults.point("store.before-commit")
                    faults.point("store.after-commit")
                except BaseException:
                    # After an I/O error nothing that the connection holds can be trusted.
                    connection.invalidate()
                    raise
        except BaseException as error:  # noqa: BLE001 - the thread must outlive whatever happened
            served.undone()
            fail(batch, error)
            return
        served.committed()
        for waiting, value in answers:
            waiting.answer.set_result(value)

    def _try(self, connection: Connection, group: list[Waiting], work: set[str]) -> list[tuple[Waiting, Any]]:
        """Run a group's change in one savepoint; when that raises, for each of the group in one of its own.

        Who raises alone is told, and leaves no trace. Returns the others with their answers; `work` gets the kinds they made.
        """
        wanted.take(connection)
        # The driver's own words: SQLAlchemy's savepoints cost as much as what a change does in them.
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("SAVEPOINT one")
        try:
            values = group[0].change(connection, [waiting.item for waiting in group])
            answers = list(zip(group, values, strict=True))
            driver.execute("RELEASE one")
        except BaseException as error:
            # SQLite itself rolls back the whole transaction on some errors; then the neighbours' changes are gone too.
            if unavailable(error) or not driver.in_transaction:
                raise
            driver.execute("ROLLBACK TO one")
            driver.execute("RELEASE one")
            wanted.take(connection)
            if len(group) > 1:
                return [answer for waiting in group for answer in self._try(connection, [waiting], work)]
            group[0].answer.set_exception(error)
            return []
        work |= wanted.take(connection)
        return answers


class DirectWriter:
    """PostgreSQL: a transaction a change, on the caller's thread; what comes in bursts, a transaction a batch, on a thread for it."""

    def __init__(self, engine: Engine, bursts: Engine, *, batch: int, waiters: Waiters) -> None:
        """`bursts` is the one connection for what comes in bursts, which waits for a locked row no longer than `BURST_PATIENCE_S`."""
        self._engine = engine
        self._bursts = bursts
        self._waiters = waiters
        self._closed = False
        self._batches = Batches(self._commit, size=batch)

    def write(self, change: Change[T], timeout_s: float) -> T:
        return self._write(self._engine, change, timeout_s)

    def _write(self, engine: Engine, change: Change[T], timeout_s: float) -> T:
        deadline = time.monotonic() + timeout_s
        attempt = 1
        while True:
            if self._closed:
                raise closed()
            try:
                return self._once(engine, change)
            except DBAPIError as error:
                if is_conflict(error) and attempt < _ATTEMPTS and time.monotonic() < deadline:
                    time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - a pause, no secret
                    attempt += 1
                    continue
                if refusal := unavailable(error):
                    raise refusal from error
                raise
            except PoolTimeout as error:
                raise pool_exhausted() from error

    def write_together(self, change: Together[Item, T], item: Item, timeout_s: float) -> T:
        until = time.monotonic() + timeout_s
        try:
            return self._batches.put(change, item, timeout_s)
        except _LockedError:
            left_s = max(until - time.monotonic(), BURST_PATIENCE_S)
            return self.write(partial(_patiently, left_s, lambda connection: change(connection, [item])[0]), left_s)

    def close(self) -> None:
        """Finish what came in bursts and waits, then end."""
        self._batches.close()
        self._closed = True

    def _commit(self, batch: list[Waiting]) -> None:
        try:
            for group in groups(batch):
                self._answer(group)
        except BaseException as error:  # noqa: BLE001 - the thread must outlive whatever happened
            fail(batch, error)

    def _answer(self, group: list[Waiting]) -> None:
        """One transaction. When the change raises, one for each of the group; who raises alone is told.

        When it wants a row that somebody keeps locked, each caller is to make it on a thread of his own: only those wait who want
        that row, and nobody waits behind them.
        """
        items = [waiting.item for waiting in group]
        try:
            values = self._write(
                self._bursts, lambda connection: group[0].change(connection, items), limits.STORE_WRITE_TIMEOUT_S
            )
        except StoreUnavailable as error:
            if error.__cause__ is None or not is_locked(error.__cause__):
                fail(group, error)
                return
            for waiting in group:
                waiting.answer.set_exception(_LockedError())
        except BaseException as error:  # noqa: BLE001 - whoever asked for it is told
            for waiting in group if len(group) > 1 else ():
                self._answer([waiting])
            if len(group) == 1:
                group[0].answer.set_exception(error)
        else:
            for waiting, value in zip(group, values, strict=True):
                waiting.answer.set_result(value)

    def _once(self, engine: Engine, change: Change[T]) -> T:
        served = Served(self._waiters)
        try:
            with engine.connect() as connection:
                wanted.take(connection)
                with connection.begin():
                    value = change(connection)
                    served = self._waiters.serve(connection, wanted.take(connection))
                    faults.point("store.before-commit")
                faults.point("store.after-commit")
        except BaseException:
            served.undone()
            raise
        served.committed()
        return value


class _LockedError(Exception):
    """A batch was not written, for a row that one of its changes wants and somebody else has locked."""


def _patiently(patience_s: float, change: Change[T], connection: Connection) -> T:
    """`change` in a transaction that waits so long for each lock."""
    connection.execute(_PATIENCE, {"milliseconds": str(int(patience_s * 1000))})
    return change(connection)
