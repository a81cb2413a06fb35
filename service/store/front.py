"""The store: consistent reads, durable writes, and work for those who wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service import limits
from service.errors import StoreUnavailable
from service.settings import Settings
from service.store import migrations, work
from service.store.clock import Clock
from service.store.database import pool_exhausted, postgres_engine, sqlite_engines, unavailable
from service.store.lock import DirectoryLock
from service.store.waiters import Found, Seek, Waiters
from service.store.writer import BURST_PATIENCE_S, BatchWriter, DirectWriter, Writer

T = TypeVar("T")
Item = TypeVar("Item")

# How often a waiting worker looks by itself where another process may have made work.
_LOOK_S = 1.0
# How long who finds work that somebody has locked waits before looking again.
_LOCKED_S = 0.05


class Store:
    """The front door; `open_store` makes one."""

    def __init__(
        self,
        *,
        readers: Engine,
        writer: Callable[[Waiters], Writer],
        engines: tuple[Engine, ...],
        lock: DirectoryLock | None,
    ) -> None:
        self._readers = readers
        self._engines = engines
        self._lock = lock
        self._alone = lock is not None
        self._closed = False
        self._clock = Clock(None if self._alone else readers)
        self._waiters = Waiters(self._clock)
        self._writer = writer(self._waiters)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot; writing through it is refused. Raises StoreUnavailable."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        try:
            with self._readers.connect() as connection:
                if not self._alone:
                    connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                yield connection
        except DBAPIError as error:
            if refusal := unavailable(error):
                raise refusal from error
            raise
        except PoolTimeout as error:
            raise pool_exhausted() from error

    def write(self, change: Callable[[Connection], T], timeout_s: float = limits.STORE_WRITE_TIMEOUT_S) -> T:
        """Run `change` in a transaction that is on disk when this returns.

        `change` does nothing outside its connection: it may be run again, or be undone after it returned. What it
        raises comes out here and leaves no trace. Raises StoreUnavailable when nothing could be written; a change that had
        not begun by then never will.
        """
        return self._writer.write(change, timeout_s)

    def write_together(
        self,
        change: Callable[[Connection, Sequence[Item]], Sequence[T]],
        item: Item,
        timeout_s: float = limits.STORE_WRITE_TIMEOUT_S,
    ) -> T:
        """As `write`, for what comes in bursts: `change` gets the items of all who wait, and answers each, in their order.

        When it raises it is called again for each item alone, so that one bad item fails none but itself.
        """
        return self._writer.write_together(change, item, timeout_s)

    def now(self) -> float:
        """The clock of leases and not_before: seconds since the epoch, and it jumps only with the database's, or after a pause that
        no clock of this machine knows of."""
        return self._clock.now()

    @property
    def their_clock(self) -> Clock | None:
        """By which leases begin where others have the store too; None where ours is the only one."""
        return self._clock.theirs

    def set_clock(self) -> None:
        """Look at the database's clock, where that is ours. Who claims or renews does that anyway. Raises StoreUnavailable."""
        self._clock.look()

    @property
    def is_shared(self) -> bool:
        """Whether other processes may have it too: what they are to know cannot lie on our disk."""
        return not self._alone

    @property
    def lease_s(self) -> float:
        """How long a claim lasts that is not renewed: where there are other processes, they soon take what a dead one held."""
        return limits.LEASE_S if self._alone else limits.REPLICA_LEASE_S

    def others_may_know(self, since: float) -> float | None:
        """When to look again at what is wanted since then and this process knows nothing of: a replica with other settings may.
        None when it is to be given up."""
        now = self.now()
        return now + limits.ELSEWHERE_S if self.is_shared and now - since < limits.UPGRADE_S else None

    def next_work(self, seek: Seek, timeout_s: float) -> Found | None:
        """What is due longest of what is sought, claimed, as soon as there is some; None after `timeout_s` or a `wake`.

        Raises StoreUnavailable.
        """
        patience = timeout_s if self._alone else min(timeout_s, _LOOK_S)
        waiter = self._waiters.join(seek)
        try:
            with self.read() as connection:
                due = work.next_due(connection, seek.kinds)
            pause = patience if due is None else min(patience, due - self.now())
            if pause > 0:
                waiter.wait(pause)
        except BaseException:
            if (found := self._waiters.leave(waiter)) is None:
                raise
            return found  # it is ours, whatever went wrong with looking for it
        if (found := self._waiters.leave(waiter)) is None and pause <= 0:
            now = self.now()
            found = self.write(lambda connection: seek.take(connection, now, self.their_clock))
            if found is None:
                found = self._rest(seek)
        return found

    def _rest(self, seek: Seek) -> Found | None:
        """What is due is locked by somebody, or was taken meanwhile: to look again at once would be in vain, again and again."""
        waiter = self._waiters.join(seek)
        waiter.wait(_LOCKED_S)
        return self._waiters.leave(waiter)

    def wake(self) -> None:
        """Let everybody who waits for work look again."""
        self._waiters.wake()

    def close(self) -> None:
        """Write what waits to be written, wake everybody, and let the data directory go."""
        self._writer.close()
        self._closed = True
        self.wake()
        for engine in self._engines:
            engine.dispose()
        if self._lock is not None:
            self._lock.release()


def open_store(settings: Settings, *, wait_s: float = 10.0, batch: int = limits.STORE_BATCH_ROWS) -> Store:
    """The store of these settings, migrated. On SQLite waits up to `wait_s` seconds for the process before to end.

    `batch` is how many changes share one commit at most. Raises StoreUnavailable, SettingsError.
    """
    if settings.store.url is not None:
        return _open_postgres(settings.store.url.get_secret_value(), batch)
    return _open_sqlite(settings.data_dir, wait_s, batch)


def _open_sqlite(data_dir: Path, wait_s: float, batch: int) -> Store:
    _make_private(data_dir)
    lock = DirectoryLock(data_dir)
    lock.take(wait_s)
    try:
        engine, readers = sqlite_engines(data_dir / "store.db")
        with _told(engine):
            migrations.upgrade(engine)
        store = Store(
            readers=readers,
            writer=lambda waiters: BatchWriter(engine, batch=batch, waiters=waiters),
            engines=(readers, engine),
            lock=lock,
        )
    except BaseException:
        lock.release()
        raise
    try:
        store.write(lambda connection: work.release_dead(connection, now=store.now()))
    except BaseException:
        store.close()
        raise
    return store


def _open_postgres(url: str, batch: int) -> Store:
    engine = postgres_engine(url)
    with _told(engine):
        migrations.upgrade(engine)
    bursts = postgres_engine(url, patience_s=BURST_PATIENCE_S, threads=1)
    return Store(
        readers=engine,
        writer=lambda waiters: DirectWriter(engine, bursts, batch=batch, waiters=waiters),
        engines=(engine, bursts),
        lock=None,
    )


def _make_private(data_dir: Path) -> None:
    """Nobody else may look: webhooks and projects lie here."""
    try:
        data_dir.mkdir(parents=True, mode=0o700, exist_ok=True)
        if data_dir.stat().st_mode & 0o077:
            data_dir.chmod(0o700)
    except OSError as error:
        raise StoreUnavailable(
            f"data_dir {data_dir} cannot be used: {error.strerror}",
            mend=f"Set data_dir to a directory that belongs to the service's user, as one that it makes itself does: {data_dir / 'data'}",
        ) from error


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        engine.dispose()
        if isinstance(error, DBAPIError) and (refusal := unavailable(error)):
            raise refusal from error
        raise


__all__ = ["Store", "open_store"]
