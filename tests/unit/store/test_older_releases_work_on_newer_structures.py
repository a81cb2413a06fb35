"""A release starts on a database that a later one added to, so that a rollout that stops half way serves on, and can be taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from service.errors import StoreUnavailable
from service.settings import Settings
from service.store import deliveries, look_at_store, open_store, work
from service.store.migrations.structure import is_enough
from tests.unit.store.rows import delivery
from tests.unit.store.steps import next_release

ADD = "op.add_column('deliveries', sa.Column('priority', sa.Integer(), server_default='0', nullable=False))"
TAKE = "op.drop_column('previews', 'error')"


def test_what_was_only_added_to_is_opened_and_left_as_it_is(settings: Settings, tmp_path: Path) -> None:
    open_store(settings).close()
    with next_release(tmp_path, ADD, "op.create_table('fresh', sa.Column('id', sa.Integer()))") as newest:
        open_store(settings).close()
    older = open_store(settings)
    mine = delivery()
    older.write(lambda connection: deliveries.add(connection, mine))
    older.write(lambda connection: work.want(connection, "fetch", "fraud", now=1.0))
    with older.read() as connection:
        assert deliveries.get(connection, mine.id) == mine
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == newest
    older.close()
    found = look_at_store(settings)
    assert (found.migration, found.usable) == (newest, True)


def test_one_that_lacks_what_we_use_is_refused_with_the_release_to_install(settings: Settings, tmp_path: Path) -> None:
    with next_release(tmp_path, TAKE, unused_since="9.2.0"):
        open_store(settings).close()
    with pytest.raises(StoreUnavailable, match="written by a newer version") as refusal:
        open_store(settings, wait_s=0)
    assert "9.2.0" in refusal.value.mend
    assert not look_at_store(settings).usable


def test_what_was_taken_away_after_we_stopped_to_use_it_is_not_missed(settings: Settings, tmp_path: Path) -> None:
    with next_release(tmp_path, TAKE, unused_since="0.1.0"):
        open_store(settings).close()
    open_store(settings).close()
    assert look_at_store(settings).usable


@pytest.mark.parametrize(
    ("oldest", "ours", "enough"),
    [
        ("0.1.0", "0.1.0", True),
        ("0.9.0", "0.10.0", True),
        ("0.10.0", "0.9.9", False),
        ("1.0.0", "0.9.9", False),
        (None, "0.1.0", False),
    ],
)
def test_releases_are_compared_by_their_numbers(oldest: str | None, ours: str, enough: bool) -> None:
    assert is_enough(oldest, ours) is enough
