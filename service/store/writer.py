"""How a change becomes durable before `write` returns.

On SQLite a commit costs an fsync, and SQLite has one writer anyway: one thread takes every change that waits, runs
each in a savepoint of one transaction, commits once and then answers all. Changes that are the same function of
different items are one call, so that a burst of webhooks costs a few statements and not a few each. On PostgreSQL the
server shares its fsyncs among concurrent commits, so each change is a transaction of its own on its caller's thread.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service import faults
from service.errors import StoreUnavailable
from service.store import wanted
from service.store.database import is_conflict, pool_exhausted, unavailable
from service.store.waiters import Served, Waiters

T = TypeVar("T")
Item = TypeVar("Item")
Change = Callable[[Connection], T]
# One answer an item, in their order.
Together = Callable[[Connection, Sequence[Item]], Sequence[T]]
# Serialization failures and deadlocks are nobody's fault; more than so many in a row are a bug.
_ATTEMPTS = 5


class Writer(Protocol):
    def write(self, change: Change[T], timeout_s: float) -> T: ...

    def write_together(self, change: Together[Item, T], item: Item, timeout_s: float) -> T: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class _Waiting:
    change: Together[Any, Any]
    item: Any
    answer: Future[Any]


class BatchWriter:
    """The one thread that writes to SQLite."""

    def __init__(self, engine: Engine, *, batch: int, waiters: Waiters) -> None:
        self._engine = engine
        self._batch = batch
        self._waiters = waiters
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def write(self, change: Change[T], timeout_s: float) -> T:
        return self.write_together(lambda connection, _: [change(connection)], None, timeout_s)

    def write_together(self, change: Together[Item, T], item: Item, timeout_s: float) -> T:
        if threading.current_thread() is self._thread:
            raise RuntimeError("a change may not call Store.write: it would wait for itself")
        answer: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise _closed()
            self._queue.append(_Waiting(change, item, answer))
            self._changed.notify()
        try:
            return answer.result(timeout_s)
        except TimeoutError:
            # The change itself may have raised a TimeoutError; only an unanswered one is ours.
            if answer.done() and not answer.cancelled():
                return answer.result()
            begun = not answer.cancel()
            raise StoreUnavailable(
                f"the store did not answer within {timeout_s:g} s"
                + ("; what was to be written may still be written" if begun else "; nothing was written"),
                mend="Try again",
            ) from None
        except CancelledError:
            raise _closed() from None

    def close(self) -> None:
        """Finish what waits, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=30)

    def _run(self) -> None:
        while batch := self._take():
            self._commit(batch)

    def _take(self) -> list[_Waiting]:
        """Everything that waits, up to a batch; nothing only when closed."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            return [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]

    def _commit(self, batch: list[_Waiting]) -> None:
        """One transaction. A change that raises fails alone; a database that fails fails them all."""
        answers: list[tuple[_Waiting, Any]] = []
        work: set[str] = set()
        served = Served(self._waiters)
        try:
            with self._engine.connect() as connection:
                try:
                    with connection.begin():
                        for group in _groups(w for w in batch if w.answer.set_running_or_notify_cancel()):
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
            self._fail([waiting.answer for waiting in batch], error)
            return
        served.committed()
        for waiting, value in answers:
            waiting.answer.set_result(value)

    def _try(self, connection: Connection, group: list[_Waiting], work: set[str]) -> list[tuple[_Waiting, Any]]:
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

    def _fail(self, answers: list[Future[Any]], error: BaseException) -> None:
        for answer in answers:
            if answer.done() or not (answer.running() or answer.set_running_or_notify_cancel()):
                continue
            refusal = unavailable(error) or StoreUnavailable(f"the store could not commit: {error}", mend="Try again")
            refusal.__cause__ = error
            answer.set_exception(refusal)


def _groups(batch: Iterable[_Waiting]) -> Iterable[list[_Waiting]]:
    """Those with the same change, which nobody has ordered: each of their callers still waits."""
    groups: dict[Together[Any, Any], list[_Waiting]] = {}
    for waiting in batch:
        groups.setdefault(waiting.change, []).append(waiting)
    return groups.values()


class DirectWriter:
    """PostgreSQL: a transaction a change, on the caller's thread."""

    def __init__(self, engine: Engine, *, waiters: Waiters) -> None:
        self._engine = engine
        self._waiters = waiters
        self._closed = False

    def write(self, change: Change[T], timeout_s: float) -> T:
        deadline = time.monotonic() + timeout_s
        attempt = 1
        while True:
            if self._closed:
                raise _closed()
            try:
                return self._once(change)
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
        return self.write(lambda connection: change(connection, [item])[0], timeout_s)

    def close(self) -> None:
        self._closed = True

    def _once(self, change: Change[T]) -> T:
        served = Served(self._waiters)
        try:
            with self._engine.connect() as connection:
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


def _closed() -> StoreUnavailable:
    return StoreUnavailable("the store is closed", mend="The service is ending; try again at the next one")
