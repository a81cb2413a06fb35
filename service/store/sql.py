"""What the per-table modules share: rows as frozen dataclasses, JSON at the boundary, pages by cursor.

Making a statement costs SQLAlchemy four times what executing it does, and a push takes more than a hundred. So what is asked by
columns that equal something is made once for each set of columns (`find`, `those`, `set`, `change`); other conditions are for
what is asked seldom (`first`, `all`, `set_where`), or are statements of their module's, made at import.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields
from enum import StrEnum
from functools import cache
from typing import Any, Generic, TypeVar, cast

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Row,
    Select,
    String,
    Table,
    Update,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from service import limits
from service.errors import Malformed, NotFound

T = TypeVar("T")

_COUNTED = {"preserve_rowcount": True}
# In the place of a value: anything but NULL.
SOMETHING = object()
# Which columns are asked for, and how: what a statement is made of.
_Shape = tuple[tuple[str, str], ...]


class Rows(Generic[T]):
    """Reads and writes rows of `table` as `kind`, a dataclass whose fields are columns.

    `json` names the columns that hold a field's value as JSON. `clip` names texts for people that are cut to their column's
    length; any other string that is too long is refused, on every database alike. `heavy` ones are only read when asked for.

    Where columns are to equal values, None is NULL, `SOMETHING` anything else, and a collection any of its members.
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

    def read(self, row: Row[Any]) -> T:
        values = dict(zip(row._fields, row, strict=True))
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
            value = _text(value)
            length = self._lengths.get(name)
            if length is not None and len(value) > length:
                if name not in self._clip:
                    raise ValueError(f"{self.table.name}.{name} holds {length} characters, not {len(value)}")
                value = value[: length - 1] + "…"
        return value

    def find(
        self, connection: Connection, *, order: str = "", whole: bool = False, lock: bool = False, **same: Any
    ) -> T | None:
        """The first row by `order`, a column's name; "-name" is the last. `lock` keeps it to the end of the transaction."""
        query = self._query(_shape(same), (order,) if order else (), whole=whole, lock=lock, limit=1)
        row = connection.execute(query, _asked(same)).first()
        return None if row is None else self.read(row)

    def those(self, connection: Connection, *order: str, limit: int | None = None, **same: Any) -> list[T]:
        """All of them, in the order of these columns, or the first `limit`."""
        query = self._query(_shape(same), order, limit=limit)
        return [self.read(row) for row in connection.execute(query, _asked(same))]

    def count(self, connection: Connection, **same: Any) -> int:
        return int(connection.execute(self._count(_shape(same)), _asked(same)).scalar_one())

    def set(self, connection: Connection, same: Mapping[str, Any], **values: Any) -> int:
        """Update; returns the number of rows."""
        return connection.execute(self._update(_shape(same)), _asked(same) | self._plain(values)).rowcount

    def change(self, connection: Connection, same: Mapping[str, Any], **values: Any) -> T | None:
        """Update a row; as it is then, or None when there was none to update."""
        row = connection.execute(self._change(_shape(same)), _asked(same) | self._plain(values)).first()
        return None if row is None else self.read(row)

    @cache  # noqa: B019 - one a table, made at import
    def _query(
        self, shape: _Shape, order: tuple[str, ...], *, limit: int | None, whole: bool = False, lock: bool = False
    ) -> Select[Any]:
        query = self.select(whole=whole).where(*self._where(shape)).limit(limit)
        named = ((name.removeprefix("-"), name.startswith("-")) for name in order)
        query = query.order_by(*(self.table.c[name].desc() if last else self.table.c[name] for name, last in named))
        return query.with_for_update() if lock else query

    @cache  # noqa: B019 - as above
    def _count(self, shape: _Shape) -> Select[Any]:
        return select(func.count()).select_from(self.table).where(*self._where(shape))

    @cache  # noqa: B019 - as above
    def _update(self, shape: _Shape) -> Update:
        return update(self.table).where(*self._where(shape))

    @cache  # noqa: B019 - as above
    def _change(self, shape: _Shape) -> Any:
        return self._update(shape).returning(*self._light)

    def _where(self, shape: _Shape) -> Iterable[ColumnElement[bool]]:
        for name, how in shape:
            column = self.table.c[name]
            if how == "null":
                yield column.is_(None)
            elif how == "something":
                yield column.is_not(None)
            elif how == "in":
                yield column.in_(bindparam(f"is_{name}", expanding=True))
            else:
                yield column == bindparam(f"is_{name}")

    def _plain(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.value(name, value) for name, value in values.items()}

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
        values = [self.values(row) for row in rows]
        if connection.dialect.name == "postgresql":
            connection.execute(self._insert_columns(), {name: [one[name] for one in values] for name in self._names})
            return
        # Because it returns something, SQLAlchemy makes it one statement of many rows. Otherwise the driver would step through
        # them, and at each let go of the interpreter, for which thirty other threads wait.
        connection.execute(self._insert(connection.dialect.name).returning(self.table.c.id), values)

    @cache  # noqa: B019 - as above
    def _insert_columns(self) -> postgresql.Insert:
        """Of one array a column: the same statement for any number of rows, so that neither the driver nor the server has to read it again."""
        arrays = [func.unnest(bindparam(c.name, type_=postgresql.ARRAY(c.type))) for c in self._columns]
        return postgresql.insert(self.table).from_select(self._names, select(*arrays)).on_conflict_do_nothing()

    def put(self, connection: Connection, key: Mapping[str, Any], **values: Any) -> None:
        """Insert, or where the row of this key is there already, update what is given."""
        statement = self._put(connection.dialect.name, tuple(key), tuple(values))
        connection.execute(statement, self._plain(key) | self._plain(values))

    @cache  # noqa: B019 - as above
    def _put(self, dialect: str, key: tuple[str, ...], names: tuple[str, ...]) -> sqlite.Insert:
        statement = insert(dialect, self.table)
        fresh = {name: statement.excluded[name] for name in names}
        return statement.on_conflict_do_update(index_elements=[self.table.c[name] for name in key], set_=fresh)

    @cache  # noqa: B019 - as above
    def _insert(self, dialect: str) -> sqlite.Insert:
        return insert(dialect, self.table).on_conflict_do_nothing()

    def set_where(self, connection: Connection, where: Iterable[ColumnElement[bool]], **values: Any) -> int:
        return connection.execute(update(self.table).where(*where).values(self._plain(values))).rowcount

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


def _shape(same: Mapping[str, Any]) -> _Shape:
    return tuple((name, _how(value)) for name, value in same.items())


def _how(value: Any) -> str:
    if value is None:
        return "null"
    if value is SOMETHING:
        return "something"
    return "in" if isinstance(value, Collection) and not isinstance(value, str) else "is"


def _asked(same: Mapping[str, Any]) -> dict[str, Any]:
    """The values to compare with, by the names of their parameters."""
    asked: dict[str, Any] = {}
    for name, value in same.items():
        how = _how(value)
        if how == "is":
            asked[f"is_{name}"] = _text(value) if isinstance(value, str) else value
        elif how == "in":
            asked[f"is_{name}"] = sorted(_text(one) if isinstance(one, str) else one for one in value)
    return asked


def _text(value: str) -> str:
    """PostgreSQL has no NUL in texts; and an enum's member is its value."""
    return str(value).replace("\x00", "\ufffd")


def known(row: T | None, what: str) -> T:
    """`row`, which has to be there. Raises NotFound."""
    if row is None:
        raise NotFound(f"there is no {what}")
    return row


def among(dialect: str, column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Whether it is one of a parameter's list. On PostgreSQL one statement for any number, which the server has ready; SQLite has no lists."""
    if dialect == "postgresql":
        return column == func.any(bindparam(name, type_=postgresql.ARRAY(column.type)))
    return column.in_(bindparam(name, expanding=True))


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
