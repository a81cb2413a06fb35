"""The store as somebody outside sees it: whether it opens, how it is migrated, who has it. Nothing is written."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from service.errors import StoreUnavailable
from service.settings import Settings
from service.store.database import postgres_engine, unavailable
from service.store.migrations import newest
from service.store.migrations.structure import is_enough

_STEP = "SELECT version_num FROM alembic_version"
_OLDEST = "SELECT oldest FROM structure"


@dataclass(frozen=True, slots=True)
class StoreState:
    """`migration` is None where there is nothing yet; `newest` is this version's. `usable`: this version works with it, as it is or brought up
    to date. `holder` is the process that has it."""

    where: str
    migration: str | None
    newest: str
    usable: bool
    holder: str | None = None


class _Structure(NamedTuple):
    step: str | None = None
    usable: bool = True


def look_at_store(settings: Settings) -> StoreState:
    """Raises StoreUnavailable."""
    if settings.store.url is not None:
        found = _of_postgres(settings.store.url.get_secret_value())
        return StoreState("PostgreSQL", found.step, newest(), found.usable)
    path = settings.data_dir / "store.db"
    found = _of_sqlite(path)
    return StoreState(str(path), found.step, newest(), found.usable, _holder(settings.data_dir / "lock"))


def _of_sqlite(path: Path) -> _Structure:
    if not path.exists():
        return _Structure()
    try:
        connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True, timeout=5)
        try:
            return _asked(lambda question: connection.execute(question).fetchone())
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"{path} cannot be read: {error}", mend="Look at its permissions, or restore it from a backup"
        ) from error


def _of_postgres(url: str) -> _Structure:
    engine = postgres_engine(url)
    try:
        with engine.connect() as connection:
            there = connection.execute(text("SELECT to_regclass('alembic_version')")).scalar_one_or_none()
            return _asked(lambda question: connection.execute(text(question)).first()) if there else _Structure()
    except DBAPIError as error:
        raise unavailable(error) or StoreUnavailable(
            f"the store's database refuses: {type(error.orig).__name__}",
            mend="Check store.url and what its user may do",
        ) from error
    finally:
        engine.dispose()


def _asked(ask: Callable[[str], Any]) -> _Structure:
    """`ask` gives the first row. Only of a newer structure is it a question whether it can be worked with, and such a one has the answer."""
    row = ask(_STEP)
    step = str(row[0]) if row else None
    return _Structure(step, step is None or step <= newest() or is_enough((ask(_OLDEST) or (None,))[0]))


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
