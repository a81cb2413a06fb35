"""What the last fetch of each repository found: its state and the tips of its refs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, update

from service.store.models import refs as refs_table
from service.store.models import repositories as table
from service.store.sql import Rows, known


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    name: str
    url: str
    default_branch: str | None = None
    fetched_at: float | None = None
    error: str | None = None
    error_at: float | None = None
    delivered_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """`missing_since` is when a fetch first did not see it any more."""

    repository: str
    ref: str
    commit: str
    seen_at: float
    missing_since: float | None = None


_rows = Rows(table, Repository)
_refs = Rows(refs_table, Ref)


def get(connection: Connection, name: str) -> Repository:
    """Raises NotFound."""
    return known(find(connection, name), f"repository {name!r}")


def find(connection: Connection, name: str) -> Repository | None:
    return _rows.find(connection, name=name)


def all(connection: Connection) -> list[Repository]:  # noqa: A001 - reads as repositories.all
    return _rows.those(connection, "name")


def record_fetch(connection: Connection, name: str, *, url: str, default_branch: str | None, now: float) -> None:
    """The fetch went well; an earlier error is over."""
    _put(connection, name, url=url, default_branch=default_branch, fetched_at=now, error=None, error_at=None)


def record_error(connection: Connection, name: str, *, url: str, error: str, now: float) -> bool:
    """The fetch failed; True when the one before had not."""
    before = find(connection, name)
    _put(connection, name, url=url, error=error, error_at=now)
    return before is None or before.error is None


def record_delivery(connection: Connection, name: str, *, url: str, now: float) -> None:
    """Its webhook works."""
    _put(connection, name, url=url, delivered_at=now)


def refs(connection: Connection, repository: str) -> dict[str, Ref]:
    """Every known ref, also those that are missing now."""
    return {row.ref: row for row in _refs.those(connection, "ref", repository=repository)}


def tips(connection: Connection, repository: str) -> dict[str, str]:
    """Ref → commit as last seen, also of refs that are missing now."""
    return {ref: row.commit for ref, row in refs(connection, repository).items()}


def set_tip(connection: Connection, repository: str, ref: str, commit: str, *, now: float) -> None:
    """The ref is there, at this commit."""
    seen = {"commit": commit, "seen_at": now, "missing_since": None}
    _refs.put(connection, {"repository": repository, "ref": ref}, **seen)


def mark_missing(connection: Connection, repository: str, ref: str, *, now: float) -> float:
    """A fetch did not see the ref. Returns since when it is missing."""
    since = func.coalesce(refs_table.c.missing_since, now)
    connection.execute(update(refs_table).where(*_is(repository, ref)).values(missing_since=since))
    found = _refs.find(connection, repository=repository, ref=ref)
    return now if found is None or found.missing_since is None else found.missing_since


def remove_tip(connection: Connection, repository: str, ref: str) -> None:
    connection.execute(delete(refs_table).where(*_is(repository, ref)))


def _is(repository: str, ref: str) -> tuple[Any, Any]:
    return refs_table.c.repository == repository, refs_table.c.ref == ref


def _put(connection: Connection, name: str, **values: Any) -> None:
    _rows.put(connection, {"name": name}, **values)
