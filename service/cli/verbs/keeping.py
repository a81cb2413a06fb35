"""The verbs that keep a store: a copy of it while the service works, and the way back."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from service.cli import screen
from service.cli.verbs.words import Config, bad_settings, settings_of
from service.errors import GitopsError


def backup(
    file: Annotated[Path | None, typer.Argument(help="The copy to write; by default standard output.")] = None,
    config: Config = None,
) -> None:
    """Copy the store of SQLite while the service works."""
    settings = settings_of(config)
    from service.store.backup import copy_store

    if file is None and sys.stdout.isatty():
        raise typer.BadParameter("a copy is nothing to read: name a file, or redirect it into one", param_hint="FILE")
    with bad_settings(), _told(file):
        if file is None:
            size = copy_store(settings, sys.stdout.buffer)
        else:
            size = _written(file, partial(copy_store, settings))
    screen.note(f"{size} bytes; keep config.yaml and the files of secrets with it")


def restore(
    file: Annotated[Path | None, typer.Argument(help="The copy to read; by default standard input.")] = None,
    config: Config = None,
) -> None:
    """Put a copy in the place of the store of SQLite.

    No service may have it. The old one stays as store.db.replaced.
    """
    settings = settings_of(config)
    from service.store.backup import restore_store

    with bad_settings(), _told(file):
        if file is None:
            migration = restore_store(settings, sys.stdin.buffer)
        else:
            with file.open("rb") as source:
                migration = restore_store(settings, source)
    screen.note(f"{settings.data_dir / 'store.db'} is the copy, of migration {migration}; start the service")


def _written(file: Path, write: Callable[[BinaryIO], int]) -> int:
    """The whole file or none of it, which only its owner reads: what capabilities are signed with is in it."""
    aside = file.with_name(f".{file.name}.part")
    try:
        with open(aside, "wb", opener=_private) as to:
            size = write(to)
            os.fsync(to.fileno())
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)
    return size


def _private(path: str, flags: int) -> int:
    with suppress(FileNotFoundError):
        Path(path).unlink()
    return os.open(path, flags | os.O_EXCL, 0o600)


@contextmanager
def _told(file: Path | None) -> Iterator[None]:
    """A file that cannot be used, and a disk that is full."""
    try:
        yield
    except OSError as error:
        where = error.filename or file or "standard output"
        raise GitopsError(f"{where}: {error.strerror}", mend="name a file that can be, and look at its disk") from error
