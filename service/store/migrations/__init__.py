"""The database's structure, step by step. `upgrade` runs in the service's own process, before anything else does.

On PostgreSQL other replicas work meanwhile, of this version or the one before. So one process at a time migrates, each step is a
transaction of its own, and none has others wait for a table longer than a moment: it gives its place in the line up and comes again.

Alembic is imported only where there is something to do: at nearly every start there is not.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.exc import DBAPIError

from service import limits
from service.errors import StoreUnavailable
from service.store.database import is_conflict, is_locked, let_wait
from service.store.migrations.structure import is_behind
from service.store.models import structure

if TYPE_CHECKING:
    from alembic.config import Config

log = logging.getLogger(__name__)

_HERE = Path(__file__).parent
# Any number that no other program's advisory lock uses: services that start together migrate one after the other.
_LOCK = 7_108_240_951
_PAUSE_S = 0.2


def config() -> Config:
    """Alembic's settings; no ini file, so that an installed service has all it needs."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    return made


def newest() -> str:
    """The last step. Steps are numbered, and their files begin with the number."""
    return max(step.name[:4] for step in (_HERE / "versions").glob("0*.py"))


def upgrade(engine: Engine) -> None:
    """Bring the database to this version's structure. Raises StoreUnavailable for one that this version cannot work with."""
    if engine.dialect.name == "postgresql":
        _upgrade_beside_others(engine)
        return
    with engine.begin() as connection:
        if _is_behind(connection):
            _migrate(connection)


def _upgrade_beside_others(engine: Engine) -> None:
    with engine.connect() as connection:
        if _is_behind(connection):
            try:
                _upgrade_in_turn(connection, time.monotonic() + limits.MIGRATION_PATIENCE_S)
            finally:
                connection.invalidate()  # its lock and its settings go with it


def _upgrade_in_turn(connection: Connection, deadline: float) -> None:
    _take_turn(connection, deadline)
    while _is_behind(connection):
        connection.rollback()
        try:
            _migrate(connection)
        except DBAPIError as error:
            connection.rollback()
            if not (is_locked(error) or is_conflict(error)) or time.monotonic() > deadline:
                raise
            log.warning("the database's structure waits for a table that somebody holds: %s", error.orig)
            time.sleep(_PAUSE_S)


def _take_turn(connection: Connection, deadline: float) -> None:
    """Asks again and again: who waited in the database would be waited for by an index that is made there. Raises StoreUnavailable."""
    while not connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}).scalar_one():
        connection.rollback()
        if time.monotonic() > deadline:
            raise StoreUnavailable(
                "another process is bringing the database's structure up to date, and does not come to an end",
                mend="Look what it waits for, in its log and in pg_stat_activity",
            )
        time.sleep(_PAUSE_S)
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
    let_wait(connection)
    connection.execute(text(f"SET lock_timeout = {limits.MIGRATION_LOCK_MS}"))
    connection.commit()


def _is_behind(connection: Connection) -> bool:
    tables = inspect(connection).get_table_names()
    step = oldest = None
    if "alembic_version" in tables:
        step = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if structure.name in tables:
        oldest = connection.execute(select(structure.c.oldest)).scalar()
    return is_behind(step, newest(), oldest)


def _migrate(connection: Connection) -> None:
    from alembic import command

    settings = config()
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")
