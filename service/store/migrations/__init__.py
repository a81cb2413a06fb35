"""The database's structure, step by step. `upgrade` runs in the service's own process, before anything else does."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Engine, text

from service.errors import StoreUnavailable

# Any number that no other program's advisory lock uses: services that start together migrate one after the other.
_LOCK = 7_108_240_951


def config() -> Config:
    """Alembic's settings; no ini file, so that an installed service has all it needs."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    return made


def upgrade(engine: Engine) -> None:
    """Bring the database to this version's structure, in one transaction. Raises StoreUnavailable for a newer one."""
    settings = config()
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        settings.attributes["connection"] = connection
        try:
            command.upgrade(settings, "head")
        except CommandError as error:
            raise StoreUnavailable(
                f"the database was written by a newer version of the service ({error})",
                mend="Install that version again, or restore the backup from before it",
            ) from error
