"""Every step of the database's structure is safe for the release before, which is at work meanwhile and may be started again."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Engine, LargeBinary, MetaData, Table, create_engine, event

from service import __version__
from service.settings import Settings
from service.store import migrations
from service.store.migrations.structure import is_enough
from tests.unit.store.growth import faults
from tests.unit.store.steps import next_release


def scripts() -> list[Script]:
    return list(reversed([*ScriptDirectory.from_config(migrations.config()).walk_revisions()]))


STEPS = scripts()
TAKING = [step for step in STEPS if getattr(step.module, "unused_since", None)]


@pytest.fixture
def engine(settings: Settings, tmp_path: Path) -> Iterator[Engine]:
    url = settings.store.url
    made = create_engine(url.get_secret_value() if url else f"sqlite:///{tmp_path / 'steps.db'}")
    yield made
    made.dispose()


def bring(engine: Engine, to: str) -> list[str]:
    """The statements that it took."""
    said: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    configured = migrations.config()
    event.listen(engine, "before_cursor_execute", hear)
    with engine.connect() as connection:
        configured.attributes["connection"] = connection
        command.upgrade(configured, to)
        connection.commit()
    event.remove(engine, "before_cursor_execute", hear)
    return said


@pytest.mark.postgres
def test_no_step_does_more_than_add_unless_it_names_the_release_that_stopped_using_what_goes(
    postgres_settings: Settings,
) -> None:
    assert postgres_settings.store.url is not None
    engine = create_engine(postgres_settings.store.url.get_secret_value())
    found = {step.revision: [*faults(bring(engine, step.revision))] for step in STEPS}
    engine.dispose()
    taking = [step.revision for step in TAKING]
    assert {step: wrong for step, wrong in found.items() if wrong and step not in taking} == {}


def test_what_a_step_takes_away_was_unused_before_this_release() -> None:
    since = {step.revision: step.module.unused_since for step in TAKING}
    assert [step for step, release in since.items() if release == __version__ or not is_enough(release)] == []


def test_steps_are_numbered_one_after_the_other() -> None:
    assert [step.revision for step in STEPS] == [f"{number:04}" for number in range(1, len(STEPS) + 1)]


def test_what_the_release_before_has_and_writes_stays_true(engine: Engine) -> None:
    """At each step: its tables as they were, read and written by the tables' old definitions on the newer structure."""
    for before, after in pairwise(STEPS):
        bring(engine, before.revision)
        old = MetaData()
        old.reflect(engine)
        tables = [table for table in old.sorted_tables if table.name != "alembic_version"]
        with engine.begin() as connection:
            written = [_write(connection, table, f"{before.revision}-a") for table in tables]
        bring(engine, after.revision)
        with engine.begin() as connection:
            for table, row in zip(tables, written, strict=True):
                assert row in [one._asdict() for one in connection.execute(table.select())]
                later = _write(connection, table, f"{after.revision}-b")
                key = [column == later[column.name] for column in table.primary_key]
                assert connection.execute(table.update().where(*key).values(later)).rowcount == 1
                assert connection.execute(table.delete().where(*key)).rowcount == 1


def _write(connection: Connection, table: Table, text: str) -> dict[str, Any]:
    """A row with a value in every column; what points to another table points to nothing."""
    row = {column.name: None if column.foreign_keys else _value(column.type, text) for column in table.columns}
    connection.execute(table.insert().values(row))
    return row


def _value(kind: Any, text: str) -> Any:
    if isinstance(kind, LargeBinary):
        return text.encode()
    of = kind.python_type
    return text if of is str else of(zlib.crc32(text.encode()) % 1_000_000)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE runs DROP COLUMN cancel",
        "ALTER TABLE runs RENAME COLUMN cancel TO cancelled",
        "ALTER TABLE runs ALTER COLUMN reason DROP NOT NULL",
        "ALTER TABLE runs ALTER COLUMN reason TYPE VARCHAR(20)",
        "ALTER TABLE runs ADD CONSTRAINT x UNIQUE (project)",
        "ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL",
        "ALTER TABLE runs ADD COLUMN priority INTEGER UNIQUE",
        "ALTER TABLE runs ADD COLUMN at FLOAT DEFAULT random() NOT NULL",
        "ALTER TABLE runs ADD COLUMN a INTEGER, DROP COLUMN b",
        "CREATE INDEX ix_runs_image ON runs (image)",
        "CREATE UNIQUE INDEX CONCURRENTLY ix_runs_image ON runs (image)",
        "DROP TABLE previews",
        "DROP INDEX ix_runs_project_id",
        "UPDATE runs SET reason = ''",
        "INSERT INTO runs SELECT * FROM runs",
        "DELETE FROM audit",
        "LOCK TABLE runs",
        "DO $$ BEGIN END $$",
    ],
)
def test_what_the_release_before_would_notice_is_found(statement: str) -> None:
    assert [*faults(["CREATE TABLE fresh (a INTEGER)", statement])]


@pytest.mark.parametrize(
    "statement",
    [
        "\nCREATE TABLE fresh (\n\ta INTEGER NOT NULL\n)\n\n",
        "CREATE UNIQUE INDEX ix_fresh_a ON fresh (a)",
        "INSERT INTO fresh (a) VALUES (1)",
        "ALTER TABLE runs ADD COLUMN priority INTEGER",
        "ALTER TABLE runs ADD COLUMN priority INTEGER DEFAULT 0 NOT NULL",
        "ALTER TABLE runs ADD COLUMN note VARCHAR(20) DEFAULT '' NOT NULL",
        "CREATE INDEX CONCURRENTLY ix_runs_image ON runs (image)",
    ],
)
def test_what_only_adds_is_allowed(statement: str) -> None:
    assert [*faults(["CREATE TABLE fresh (a INTEGER)", statement])] == []


@pytest.mark.postgres
def test_what_alembic_makes_of_a_step_is_understood(postgres_settings: Settings, tmp_path: Path) -> None:
    assert postgres_settings.store.url is not None
    engine = create_engine(postgres_settings.store.url.get_secret_value())
    bring(engine, "head")
    good = "op.add_column('runs', sa.Column('priority', sa.Integer(), server_default='0', nullable=False))"
    beside = "beside.create_index('ix_runs_image', 'runs', ['image'])"
    bad = "op.drop_column('runs', 'reason')"
    with next_release(tmp_path, good, beside, bad):
        found = [[*faults(bring(engine, step.revision))] for step in scripts()[-3:]]
    engine.dispose()
    assert found[:2] == [[], []]
    assert "it does more than add: ALTER TABLE runs DROP COLUMN reason" in found[2]
