"""What a step does to tables that others write to meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op

from service import limits


def create_index(name: str, table: str, columns: Sequence[str]) -> None:
    """An index on a table that was there before, while rows come and go. The step does nothing else: it is no transaction."""
    context = op.get_context()
    if context.dialect.name != "postgresql":
        op.create_index(name, table, columns)
        return
    with context.autocommit_block():
        # It holds up nobody, and waits for all who began before it.
        op.execute("SET lock_timeout = 0")
        # What a try left that came to nothing looks like an index and is none.
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True)
        op.execute(f"SET lock_timeout = {limits.MIGRATION_LOCK_MS}")
