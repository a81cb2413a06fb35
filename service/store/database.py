"""Engines, and which of the driver's errors mean that the database cannot be used now.

SQLite transactions are ours: the driver is put into its autocommit mode and every BEGIN is written here, since a
write has to take the lock at its start (IMMEDIATE) and savepoints need a transaction that the driver does not end.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from service import limits
from service.errors import SettingsError, StoreUnavailable

if TYPE_CHECKING:
    import psycopg

    from service.store.impatient import ImpatientConnection

# An operator's own sqlite3 shell may hold the lock for a moment.
_BUSY_S = 5.0
# What the write-ahead log is cut back to once it was checkpointed.
_WAL_BYTES = 64 * limits.MIB
_READERS_KEPT = 8
# A connection that was used so lately is there: to ask takes as long as a statement.
_TRUSTED_S = 1.0
_USED = "gitops.used"
_READERS = 64

_SQLITE_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
# SQLSTATEs: connection, resources, operator's intervention (a cancelled statement too), system error; a server that
# became a standby; a transaction in which we said nothing for too long; a lock that was not had in time.
_STANDBY = "25006"
_POSTGRES_AWAY = ("08", "53", "57", "58", _STANDBY, "25P03", "55P03")


def sqlite_engines(path: Path) -> tuple[Engine, Engine]:
    """The writer's engine, which has one connection, and the readers'."""
    return (
        _sqlite(path, "BEGIN IMMEDIATE", "", pool_size=1, max_overflow=0),
        _sqlite(
            path,
            "BEGIN",
            "PRAGMA query_only=ON",
            pool_size=_READERS_KEPT,
            max_overflow=_READERS - _READERS_KEPT,
            pool_timeout=limits.STORE_WRITE_TIMEOUT_S,
        ),
    )


def _sqlite(path: Path, begin: str, also: str, **pool: Any) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=QueuePool,
        connect_args={"timeout": _BUSY_S, "check_same_thread": False, "isolation_level": None},
        **pool,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
        if also:
            connection.execute(also)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def postgres_engine(url: str, *, patience_s: float = limits.STORE_WRITE_TIMEOUT_S, threads: int = _READERS) -> Engine:
    """One engine for both; reads ask for a snapshot of their own. It waits so long for rows that are locked, and serves so many threads."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql":
        raise SettingsError(
            f"store.url: {parsed.get_backend_name()} is not a database that the store knows",
            mend="Write postgresql+psycopg://user@host/database, or leave it out for SQLite in data_dir",
        )
    milliseconds = int(limits.STORE_WRITE_TIMEOUT_S * 1000)
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=min(_READERS_KEPT, threads),
        max_overflow=threads - min(_READERS_KEPT, threads),
        pool_timeout=limits.STORE_WRITE_TIMEOUT_S,
        connect_args={
            "connect_timeout": int(limits.STORE_WRITE_TIMEOUT_S),
            "application_name": "mlrun-gitops",
            # Of several hosts, or of an address that moves, the one that takes writes.
            "target_session_attrs": parsed.query.get("target_session_attrs", "read-write"),
            # A server that is cut off answers nothing: known after the time that a write may take.
            "keepalives_idle": int(limits.STORE_WRITE_TIMEOUT_S),
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": milliseconds,
            "options": f"-c statement_timeout={milliseconds} -c lock_timeout={int(patience_s * 1000)} -c timezone=UTC"
            # A statement that is kept ready would keep the plan that it was given while the tables were small.
            f" -c plan_cache_mode=force_custom_plan -c idle_in_transaction_session_timeout={int(limits.STORE_SILENCE_S * 1000)}",
        },
    )

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: object, _record: object, words: Sequence[Any], names: dict[str, Any]) -> psycopg.Connection:
        from service.store.impatient import ImpatientConnection

        return ImpatientConnection.connect(*words, **names)

    @event.listens_for(engine, "connect")
    def _configure(connection: psycopg.Connection, _record: object) -> None:
        from psycopg.types.array import ListBinaryDumper
        from psycopg.types.string import StrDumper, StrDumperUnknown

        class Text(StrDumperUnknown):
            """PostgreSQL has no NUL in texts, and who asks for one finds nothing, as on SQLite."""

            def dump(self, obj: str) -> Any:
                return super().dump(obj.replace("\x00", "\ufffd") if "\x00" in obj else obj)

        # psycopg would write an enum's member name; we mean its value.
        connection.adapters.register_dumper(StrEnum, StrDumper)
        connection.adapters.register_dumper(str, Text)
        # As text, each byte of a list of bodies is looked at by a regular expression.
        connection.adapters.register_dumper(list, ListBinaryDumper)

    event.listen(engine, "handle_error", _leave_standby)

    @event.listens_for(engine, "checkin")
    def _used(_connection: psycopg.Connection, record: ConnectionPoolEntry) -> None:
        record.info[_USED] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ask(connection: psycopg.Connection, record: ConnectionPoolEntry, _proxy: object) -> None:
        """One that is gone, as after a restart of the server, is replaced, and so are those that lie beside it."""
        if time.monotonic() - record.info.get(_USED, float("inf")) < _TRUSTED_S:
            return
        try:
            engine.dialect.do_ping(cast(DBAPIConnection, connection))
        except Exception as error:
            if _postgres_away(error, error) is None:
                raise
            raise InvalidatePoolError from error

    return engine


def _leave_standby(context: ExceptionContext) -> None:
    """A server that became a standby keeps its connections, with which nothing could be written ever again.

    A transaction of ours that only reads says nothing of the server.
    """
    reads = context.connection and context.connection.get_execution_options().get("postgresql_readonly")
    if getattr(context.original_exception, "sqlstate", None) == _STANDBY and not reads:
        context.is_disconnect = True


def let_wait(connection: Connection) -> None:
    """This connection, which nobody else gets afterwards, waits for answers as long as they take."""
    cast("ImpatientConnection", connection.connection.driver_connection).patience_s = None


def unavailable(error: BaseException) -> StoreUnavailable | None:
    """What `error` says if it says that the database is away, full, locked or broken, else None."""
    if isinstance(error, PoolTimeout):
        return pool_exhausted()
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", None)
        if code is not None and code & 0xFF in _SQLITE_AWAY:
            return StoreUnavailable(f"the store cannot write: {original}", mend=_mend(code & 0xFF))
    if original is not None and hasattr(original, "sqlstate"):
        return _postgres_away(error, original)
    return None


def is_conflict(error: DBAPIError) -> bool:
    """A serialization failure or a deadlock of PostgreSQL's: nobody's fault, and gone at the next try."""
    return getattr(error.orig, "sqlstate", None) in ("40001", "40P01")


def is_locked(error: BaseException) -> bool:
    """PostgreSQL waited long enough for somebody who holds a lock."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == "55P03"


def _postgres_away(error: BaseException, original: BaseException) -> StoreUnavailable | None:
    """For errors of psycopg, which is not imported where the store is SQLite."""
    import psycopg

    if not isinstance(original, psycopg.Error):
        return None
    state = original.sqlstate or ""
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or state.startswith(_POSTGRES_AWAY) or (not state and isinstance(original, psycopg.OperationalError)):
        return StoreUnavailable(f"the store's database does not answer: {original}".strip(), mend="Try again")
    return None


def pool_exhausted() -> StoreUnavailable:
    return StoreUnavailable("all connections to the store are in use", mend="Try again")


def _mend(code: int) -> str:
    if code == sqlite3.SQLITE_FULL:
        return "Free space on the disk of data_dir; the service goes on by itself"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return "Stop the service and restore store.db from a backup"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "Another program holds the database's lock; end it or wait"
    return "Look at the disk of data_dir and its permissions"
