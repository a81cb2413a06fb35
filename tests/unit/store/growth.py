"""What a step may say to PostgreSQL while the release before is at work: it adds what that one need not know of, and holds nobody up.

Anything else is named, and so is whatever is not understood: a step that needs it says since which release nobody uses what it
takes away (`unused_since`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_NAME = r'"?(\w+)"?'
_TABLE = re.compile(rf"CREATE TABLE {_NAME} ", re.IGNORECASE)
_COLUMN = re.compile(rf"ALTER TABLE {_NAME} ADD COLUMN {_NAME} (.*)", re.IGNORECASE)
_INDEX = re.compile(rf"CREATE (UNIQUE )?INDEX (CONCURRENTLY )?{_NAME} ON {_NAME} ", re.IGNORECASE)
_ROWS = re.compile(rf"INSERT INTO {_NAME} ", re.IGNORECASE)
# What Alembic notes, how an index is made beside others, and questions.
_HARMLESS = re.compile(
    r"(SELECT |SHOW |SET lock_timeout = |UPDATE alembic_version |INSERT INTO alembic_version |DROP INDEX CONCURRENTLY IF EXISTS )",
    re.IGNORECASE,
)
# A default that is the same for all rows is noted once; any other is written into each row, with the table locked.
_CONSTANT = re.compile(r"DEFAULT ('[^']*'(::\w+)?|-?\d+(\.\d+)?|true|false)( |$)", re.IGNORECASE)


def faults(statements: Iterable[str]) -> Iterator[str]:
    """Of the statements of one step."""
    own: set[str] = set()
    for statement in statements:
        said = " ".join(statement.split())
        if made := _TABLE.match(said):
            own.add(made[1])
        elif why := _fault(said, own):
            yield f"{why}: {said}"


def _fault(said: str, own: set[str]) -> str:
    """`own` are the tables that the step made, which nobody else knows."""
    if (column := _COLUMN.fullmatch(said)) and column[1] not in own:
        return _of_column(column[3])
    if (index := _INDEX.match(said)) and index[4] not in own:
        if index[1]:
            return "rows that the release before writes would be refused"
        return "" if index[2] else "who writes waits until the index is made; use beside.create_index"
    if (rows := _ROWS.match(said)) and rows[1] not in own | {"alembic_version"}:
        return "it writes into a table that others have"
    known = column or index or rows or _HARMLESS.match(said)
    return "" if known else "it does more than add"


def _of_column(kind: str) -> str:
    if re.search(r", *(ADD|DROP|ALTER|RENAME)\b", kind, re.IGNORECASE):
        return "it does more than add"
    if "DEFAULT" in kind.upper() and not _CONSTANT.search(kind):
        return "the default is computed for each row while the table is locked"
    if "NOT NULL" in kind.upper() and "DEFAULT" not in kind.upper():
        return "the release before does not write this column"
    if re.search(r"UNIQUE|REFERENCES|CHECK", kind, re.IGNORECASE):
        return "rows that the release before writes would be refused"
    return ""
