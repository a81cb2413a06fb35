"""Who owns a project's name, and what is in force for it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, select, update

from service import limits
from service.errors import NameTaken, NotFound
from service.store.models import projects as table
from service.store.models import syncs
from service.store.sql import Rows, known


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """`synced_commit` is the base of the next diff; `pinned` a revision that a rollback holds in force."""

    name: str
    repository: str
    path: str
    ref: str
    created_at: float
    in_force: str | None = None
    in_force_sync: str | None = None
    synced_commit: str | None = None
    last_seq: int = 0
    suspended: bool = False
    pinned: str | None = None
    error: str | None = None


_rows = Rows(table, Project)
_highest_seq = select(func.coalesce(func.max(syncs.c.seq), 0)).where(syncs.c.project == bindparam("of"))
_count_one = (
    update(table)
    .where(table.c.name == bindparam("of"))
    .values(last_seq=table.c.last_seq + 1)
    .returning(table.c.last_seq)
)


def claim_name(connection: Connection, name: str, *, repository: str, path: str, ref: str, now: float) -> Project:
    """The project of this name if it is (repository, path, ref)'s, made when nobody has the name. Raises NameTaken."""
    made = Project(
        name=name, repository=repository, path=path, ref=ref, created_at=now, last_seq=_last_seq(connection, name)
    )
    _rows.add(connection, made)
    owner = find(connection, name)
    if owner is None:
        other = by_binding(connection, repository, path, ref)
        had = f"{other.name!r}" if other else "another one"
        raise NameTaken(
            f"{repository}, path {path!r}, {ref} is the project {had} already; it cannot become {name!r} too",
            mend="Keep the old name, or remove the project before it gets a new one",
        )
    if (owner.repository, owner.path, owner.ref) != (repository, path, ref):
        raise NameTaken(
            f"the project name {name!r} belongs to {owner.repository}, path {owner.path!r}, {owner.ref};"
            f" {repository}, path {path!r}, {ref} cannot have it too",
            mend="Give one of the two another name; one project for several refs needs {ref} in its name",
        )
    return owner


def release(connection: Connection, name: str) -> None:
    """The name is free for whoever claims it next; what happened under it stays to be read."""
    connection.execute(delete(table).where(table.c.name == name))


def get(connection: Connection, name: str) -> Project:
    """Raises NotFound."""
    return known(find(connection, name), f"project {name!r}")


def find(connection: Connection, name: str) -> Project | None:
    return _rows.find(connection, name=name)


def by_binding(connection: Connection, repository: str, path: str, ref: str) -> Project | None:
    return _rows.find(connection, repository=repository, path=path, ref=ref)


def for_ref(connection: Connection, repository: str, ref: str) -> list[Project]:
    """What is bound to this ref, by path."""
    return _rows.those(connection, "path", repository=repository, ref=ref)


def for_repository(connection: Connection, repository: str) -> list[Project]:
    return _rows.those(connection, "name", repository=repository)


def page(
    connection: Connection,
    *,
    limit: int = limits.PAGE_DEFAULT,
    cursor: str | None = None,
    repository: str | None = None,
    ref: str | None = None,
) -> tuple[list[Project], str | None]:
    """By name."""
    return _rows.page(
        connection, limit=limit, cursor=cursor, key="name", newest_first=False, repository=repository, ref=ref
    )


def put_in_force(
    connection: Connection, name: str, *, revision: str, sync: str | None, commit: str | None = None
) -> None:
    """This revision is the saved one. `commit` becomes the base of the next diff; None (a rollback) leaves it."""
    values = {} if commit is None else {"synced_commit": commit}
    _set(connection, name, in_force=revision, in_force_sync=sync, error=None, **values)


def record_synced(connection: Connection, name: str, commit: str) -> None:
    """A sync succeeded that puts nothing in force."""
    _set(connection, name, synced_commit=commit, error=None)


def record_error(connection: Connection, name: str, error: str | None) -> None:
    _set(connection, name, error=error)


def suspend(connection: Connection, name: str, *, suspended: bool) -> None:
    _set(connection, name, suspended=suspended)


def pin(connection: Connection, name: str, revision: str | None) -> None:
    _set(connection, name, pinned=revision)


def next_seq(connection: Connection, name: str) -> int:
    """Count one sync more."""
    counted: int | None = connection.execute(_count_one, {"of": name}).scalar_one_or_none()
    return known(counted, f"project {name!r}")


def _set(connection: Connection, name: str, **values: object) -> None:
    if not _rows.set(connection, {"name": name}, **values):
        raise NotFound(f"there is no project {name!r}")


def _last_seq(connection: Connection, name: str) -> int:
    """How far the syncs counted of whoever had the name before."""
    return int(connection.execute(_highest_seq, {"of": name}).scalar_one())
