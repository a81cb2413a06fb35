"""The database's structure, step by step. `upgrade` runs in the service's own process, before anything else does.

Alembic is imported only where there is something to do: at nearly every start there is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from service.errors import StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config

# Any number that no other program's advisory lock uses: services that start together migrate one after the other.
_LOCK = 7_108_240_951


def config() -> Config:
    """Alembic's settings; no ini file, so that an installed service has all it needs."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    return made


def newest() -> str:
    """The last step. Steps are numbered, and their files begin with the number."""
    return max(step.name[:4] for step in (Path(__file__).parent / "versions").glob("0*.py"))


def upgrade(engine: Engine) -> None:
    """Bring the database to this version's structure, in one transaction. Raises StoreUnavailable for a newer one."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if not _is_newest(connection):
            _migrate(connection)


def _is_newest(connection: Connection) -> bool:
    if not inspect(connection).has_table("alembic_version"):
        return False
    return [*connection.execute(text("SELECT version_num FROM alembic_version")).scalars()] == [newest()]


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.util.exc import CommandError

    settings = config()
    settings.attributes["connection"] = connection
    try:
        command.upgrade(settings, "head")
    except CommandError as error:
        raise StoreUnavailable(
            f"the database was written by a newer version of the service ({error})",
            mend="Install that version again, or restore the backup from before it",
        ) from error
