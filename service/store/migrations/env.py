"""Run by Alembic for every command. The caller's connection comes in by `config.attributes`; so does its transaction, on SQLite."""

from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import Script
from sqlalchemy import update

from service.store.models import metadata, structure


def _took_away(ctx: MigrationContext, step: MigrationInfo, *_: Any, **_also: Any) -> None:
    """A step that takes something away says since which release nobody uses it."""
    script = step.up_revision
    unused_since = getattr(script.module, "unused_since", None) if isinstance(script, Script) else None
    if unused_since and ctx.connection:
        ctx.connection.execute(update(structure).values(oldest=unused_since))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # also on SQLite, where every BEGIN is ours
    transaction_per_migration=True,
    on_version_apply=_took_away,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
