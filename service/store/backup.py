"""A copy of a SQLite store that is at work, and a store from a copy. PostgreSQL has tools of its own for both.

A copy is one moment of the store, whole, in one file. It takes the place of a store in one rename, after it was looked at;
what it replaces stays beside it as `store.db.replaced`.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from service.errors import SettingsError, StoreUnavailable
from service.settings import Settings
from service.store.lock import DirectoryLock
from service.store.migrations import newest

_NAME = "store.db"
# As long as a service that was told to end may take.
_ENDING_S = 20.0


def copy_store(settings: Settings, to: BinaryIO) -> int:
    """Write a copy; how many bytes it has. Needs as much room in `data_dir`. Raises StoreUnavailable, SettingsError."""
    store = _folder(settings) / _NAME
    if not store.exists():
        raise StoreUnavailable(f"{store} is not there", mend="Name the config.yaml of the service by --config")
    with _aside(store.parent) as copy:
        copy.unlink()  # VACUUM INTO makes it
        try:
            with closing(sqlite3.connect(store, timeout=5)) as connection:
                connection.execute("VACUUM INTO ?", [str(copy)])
        except sqlite3.Error as error:
            raise StoreUnavailable(
                f"{store} cannot be copied: {error}", mend="Make room on the disk of data_dir"
            ) from error
        with copy.open("rb") as file:
            shutil.copyfileobj(file, to)
        to.flush()
        return copy.stat().st_size


def restore_store(settings: Settings, source: BinaryIO) -> str:
    """Put a copy in the store's place; its migration. Waits for a service that is ending to let it go. Raises StoreUnavailable, SettingsError."""
    folder = _folder(settings)
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    lock = DirectoryLock(folder)
    lock.take(_ENDING_S)
    try:
        with _aside(folder) as copy:
            with copy.open("wb") as file:
                shutil.copyfileobj(source, file)
                file.flush()
                os.fsync(file.fileno())
            migration = _looked_at(copy)
            _replace(folder / _NAME, copy)
    finally:
        lock.release()
    return migration


def _folder(settings: Settings) -> Path:
    if settings.store.url is not None:
        raise SettingsError(
            "store.url: the store is a database of PostgreSQL",
            mend="Copy it with pg_dump, and put it back with pg_restore",
        )
    return settings.data_dir


def _looked_at(copy: Path) -> str:
    """The migration of a copy that is whole and not newer than this version."""
    try:
        with closing(sqlite3.connect(f"{copy.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
            migration = str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    except (sqlite3.Error, TypeError) as error:
        raise StoreUnavailable(f"this is no copy of a store: {error}", mend="Take another backup") from error
    if sound != "ok":
        raise StoreUnavailable(f"this copy of a store is damaged: {sound}", mend="Take another backup")
    if migration > newest():
        raise StoreUnavailable(
            f"this copy has migration {migration}, and this version knows {newest()}",
            mend="Install the version that wrote it",
        )
    return migration


def _replace(store: Path, copy: Path) -> None:
    """At every moment there is one whole store or the other."""
    if store.exists():
        try:
            # What is in the write-ahead log goes into the file, and the log is gone.
            with closing(sqlite3.connect(store)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # it is damaged, which may be why it is replaced
        replaced = store.with_name(f"{_NAME}.replaced")
        replaced.unlink(missing_ok=True)
        replaced.hardlink_to(store)
    for rest in ("-wal", "-shm"):
        store.with_name(f"{_NAME}{rest}").unlink(missing_ok=True)
    copy.replace(store)
    folder = os.open(store.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A file of ours beside the store, gone afterwards unless it was moved."""
    handle, name = tempfile.mkstemp(prefix="copy-", suffix=".db", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
