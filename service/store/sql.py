"""What the per-table modules share: rows as frozen dataclasses, JSON at the boundary, pages by cursor."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from enum import StrEnum
from functools import cache
from typing import Any, Generic, TypeVar, cast

import msgspec
from sqlalchemy import ColumnElement, Connection, Float, Row, Select, String, Table, select, update
from sqlalchemy.dialects import postgresql, sqlite

from service import limits
from service.errors import Malformed, NotFound

T = TypeVar("T")

_COUNTED = {"preserve_rowcount": True}


class Rows(Generic[T]):
    """Reads and writes rows of `table` as `kind`, a dataclass whose fields are columns.

    `json` names the columns that hold a field's value as JSON. `clip` names texts for people that are cut to their column's
    length; any other string that is too long is refused, on every database alike. `heavy` ones are only read when asked for.
    """

    def __init__(
        self,
        table: Table,
        kind: type[T],
        *,
        json: Iterable[str] = (),
        clip: Iterable[str] = (),
        heavy: Iterable[str] = (),
    ) -> None:
        self.table = table
        self._kind = kind
        hints = typing.get_type_hints(kind)
        self._names = [f.name for f in fields(cast(Any, kind))]
        self._columns = [table.c[name] for name in self._names]
        self._light = [column for column in self._columns if column.name not in heavy]
        self._readers = {n: r for n in self._names if (r := _reader(hints[n], n in json)) is not None}
        self._json = frozenset(json)
        self._clip = frozenset(clip)
        self._lengths = {c.name: c.type.length for c in table.c if type(c.type) is String and c.type.length}

    def select(self, *, whole: bool = False) -> Select[Any]:
        return select(*(self._columns if whole else self._light))

    def read(self, row: Row[Any] | Mapping[str, Any]) -> T:
        values = dict(row._mapping if isinstance(row, Row) else row)  # noqa: SLF001 - SQLAlchemy's public name
        for name, reader in self._readers.items():
            if values.get(name) is not None:
                values[name] = reader(values[name])
        return self._kind(**values)

    def values(self, row: T) -> dict[str, Any]:
        return {name: self.value(name, getattr(row, name)) for name in self._names}

    def value(self, name: str, value: Any) -> Any:
        """`value` as its column stores it."""
        if value is None:
            return None
        if name in self._json:
            return msgspec.json.encode(value).decode()
        if isinstance(value, str):
            value = str(value).replace("\x00", "\ufffd")  # PostgreSQL has no NUL in texts
            length = self._lengths.get(name)
            if length is not None and len(value) > length:
                if name not in self._clip:
                    raise ValueError(f"{self.table.name}.{name} holds {length} characters, not {len(value)}")
                value = value[: length - 1] + "…"
        return value

    def first(self, connection: Connection, query: Select[Any]) -> T | None:
        row = connection.execute(query.limit(1)).first()
        return None if row is None else self.read(row)

    def all(self, connection: Connection, query: Select[Any]) -> list[T]:
        return [self.read(row) for row in connection.execute(query)]

    def add(self, connection: Connection, row: T) -> bool:
        """Insert; False when a row with the same key (any unique key) is there already."""
        statement = self._insert(connection.dialect.name)
        return connection.execute(statement, self.values(row), execution_options=_COUNTED).rowcount == 1

    def add_all(self, connection: Connection, rows: Iterable[T]) -> None:
        """Insert; a row whose key is there already is passed over."""
        # Because it returns something, SQLAlchemy makes it one statement of many rows. Otherwise the driver would step through
        # them, and at each let go of the interpreter, for which thirty other threads wait.
        statement = self._insert(connection.dialect.name).returning(self.table.c.id)
        connection.execute(statement, [self.values(row) for row in rows])

    @cache  # noqa: B019 - one a table, made at import; building a statement costs more than executing it
    def _insert(self, dialect: str) -> sqlite.Insert:
        return insert(dialect, self.table).on_conflict_do_nothing()

    def set(self, connection: Connection, where: Iterable[ColumnElement[bool]], **values: Any) -> int:
        """Update; returns the number of rows."""
        plain = {name: self.value(name, value) for name, value in values.items()}
        return connection.execute(update(self.table).where(*where).values(plain)).rowcount

    def page(
        self,
        connection: Connection,
        *,
        limit: int,
        cursor: str | None,
        key: str = "id",
        newest_first: bool = True,
        where: Iterable[ColumnElement[bool]] = (),
        **same: Any,
    ) -> tuple[list[T], str | None]:
        """Up to `limit` rows behind `cursor` whose columns equal `same` (None: any), and the next cursor."""
        column = self.table.c[key]
        query = self.select().where(*where)
        query = query.where(*(self.table.c[n] == self.value(n, v) for n, v in same.items() if v is not None))
        if cursor is not None:
            last = _from_cursor(cursor, column)
            query = query.where(column < last if newest_first else column > last)
        query = query.order_by(column.desc() if newest_first else column)
        return self.cut(connection, query, limit, lambda row: _to_cursor(getattr(row, key)))

    def cut(
        self, connection: Connection, query: Select[Any], limit: int, cursor: Callable[[T], str]
    ) -> tuple[list[T], str | None]:
        """The first `limit` rows of `query`, and the cursor of the last when there are more."""
        limit = max(1, min(limit, limits.PAGE_MAX))
        rows = self.all(connection, query.limit(limit + 1))
        return rows[:limit], cursor(rows[limit - 1]) if len(rows) > limit else None


def known(row: T | None, what: str) -> T:
    """`row`, which has to be there. Raises NotFound."""
    if row is None:
        raise NotFound(f"there is no {what}")
    return row


def insert(dialect: str, table: Table) -> sqlite.Insert:
    """An INSERT that knows ON CONFLICT, in this database's dialect; both have the same methods."""
    if dialect == "sqlite":
        return sqlite.insert(table)
    return cast(sqlite.Insert, postgresql.insert(table))


def _reader(hint: Any, json: bool) -> Callable[[Any], Any] | None:
    """How a column's value becomes a field's; None where it is one already."""
    if json:
        return msgspec.json.Decoder(hint).decode
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return kind
    return None


def _to_cursor(value: str | float) -> str:
    return value if isinstance(value, str) else repr(value)


def _from_cursor(cursor: str, column: ColumnElement[Any]) -> Any:
    return number(cursor) if isinstance(column.type, Float) else cursor


def number(cursor: str) -> float:
    """A cursor that is a number; anything else was made up by the caller."""
    try:
        return float(cursor)
    except ValueError:
        raise Malformed(f"cursor {cursor[:40]!r} is none of ours", mend="Use the cursor of the page before") from None
