"""Run by Alembic for every command. The caller's connection and transaction come in by `config.attributes`."""

from alembic import context

from service.store.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # also on SQLite, where every BEGIN is ours
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
