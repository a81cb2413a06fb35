"""The store as somebody outside sees it: whether it opens, how it is migrated, who has it. Nothing is written."""

from __future__ import annotations

import fcntl
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from service.errors import StoreUnavailable
from service.settings import Settings
from service.store.database import postgres_engine, unavailable
from service.store.migrations import newest

_VERSION = "SELECT version_num FROM alembic_version"


@dataclass(frozen=True, slots=True)
class StoreState:
    """`migration` is None where there is nothing yet; `newest` is this version's. `holder` is the process that has it."""

    where: str
    migration: str | None
    newest: str
    holder: str | None = None


def look_at_store(settings: Settings) -> StoreState:
    """Raises StoreUnavailable."""
    if settings.store.url is not None:
        return StoreState("PostgreSQL", _of_postgres(settings.store.url.get_secret_value()), newest())
    path = settings.data_dir / "store.db"
    return StoreState(str(path), _of_sqlite(path), newest(), _holder(settings.data_dir / "lock"))


def _of_sqlite(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True, timeout=5)
        try:
            found = connection.execute(_VERSION).fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"{path} cannot be read: {error}", mend="Look at its permissions, or restore it from a backup"
        ) from error
    return str(found[0]) if found else None


def _of_postgres(url: str) -> str | None:
    engine = postgres_engine(url)
    try:
        with engine.connect() as connection:
            there = connection.execute(text("SELECT to_regclass('alembic_version')")).scalar_one_or_none()
            return str(connection.execute(text(_VERSION)).scalar_one()) if there else None
    except DBAPIError as error:
        raise unavailable(error) or StoreUnavailable(
            f"the store's database refuses: {type(error.orig).__name__}",
            mend="Check store.url and what its user may do",
        ) from error
    finally:
        engine.dispose()


def _holder(lock: Path) -> str | None:
    """What the process that has the data directory wrote into its lock."""
    try:
        with lock.open(encoding="ascii", errors="replace") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(32).strip() or "unknown"
    except OSError:
        pass
    return None
