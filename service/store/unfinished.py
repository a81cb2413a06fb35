"""Saves into MLRun that have begun and not ended: what they may have written, noted before the first write and until it is whole.

As long as a project has such a note, MLRun may have some of one revision and some of another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete

from service.domain.planned import PlannedWrite
from service.store.mlrun_models import unfinished_saves as table
from service.store.sql import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """`commit` is the newest that was to be saved; `api` the MLRun; `writes` those of every attempt since the last that ended, and `by` who
    made the latest."""

    project: str
    commit: str
    api: str
    by: str
    writes: tuple[PlannedWrite, ...]
    at: float


_rows = Rows(table, Unfinished, json=["writes"])


def begin(connection: Connection, save: Unfinished) -> None:
    """Before its first write. What earlier ones may have written is added to its own."""
    before = find(connection, save.project)
    earlier = before.writes if before is not None and before.api == save.api else ()
    _rows.put(
        connection,
        {"project": save.project},
        commit=save.commit,
        api=save.api,
        by=save.by,
        writes=_each_once((*earlier, *save.writes)),
        at=save.at,
    )


def find(connection: Connection, project: str, api: str | None = None) -> Unfinished | None:
    """Into any MLRun, or into this one."""
    if api is None:
        return _rows.find(connection, project=project)
    return _rows.find(connection, project=project, api=api)


def end(connection: Connection, project: str, by: str) -> None:
    """MLRun has all of a revision, unless somebody else noted since that he has written."""
    connection.execute(delete(table).where(table.c.project == project, table.c.by == by))


def forget(connection: Connection, project: str) -> None:
    """Nothing of it is ours any more."""
    connection.execute(delete(table).where(table.c.project == project))


def _each_once(writes: Iterable[PlannedWrite]) -> tuple[PlannedWrite, ...]:
    """The first of each: what it found there was not of an unfinished save."""
    found: dict[tuple[str, str], PlannedWrite] = {}
    for write in writes:
        found.setdefault((write.kind, write.name), write)
    return tuple(found.values())
