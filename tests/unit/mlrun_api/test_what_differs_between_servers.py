"""The table of differences: who has what, and that each row says where it is known from."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from service.domain.mlrun_versions import SUPPORTED
from service.errors import MlrunRefused
from service.mlrun_api import Feature, is_known
from service.mlrun_api.versions import DIFFERENCES, NEWEST, OLDEST, server_of


def test_every_feature_has_one_row_and_every_row_its_source() -> None:
    assert sorted(row.feature for row in DIFFERENCES) == sorted(Feature)
    for row in DIFFERENCES:
        assert re.search(r"\d\.\d+\.\d+ mlrun/|pull requests? \d", row.source), row.feature
        assert OLDEST < row.since <= NEWEST
        assert row.before
        assert row.after


def test_rows_are_in_the_order_in_which_servers_learnt_them() -> None:
    assert [row.since for row in DIFFERENCES] == sorted(row.since for row in DIFFERENCES)


@pytest.mark.parametrize(
    ("version", "first_it_lacks"),
    [
        ("1.5.2", (1, 6, 0)),
        ("1.6.4", (1, 7, 0)),
        ("1.7.2", (1, 8, 0)),
        ("1.9.2", (1, 10, 0)),
        ("1.10.4-rc3", (1, 12, 0)),
        ("1.12.1", None),
        ("1.13.0", None),
        ("2.0.0", None),
        ("0.0.0+unstable", None),
        ("unstable", None),
    ],
)
def test_a_server_can_what_its_version_can(version: str, first_it_lacks: tuple[int, int, int] | None) -> None:
    lacks = [row.since for row in DIFFERENCES if not server_of(version).has(row.feature)]
    assert min(lacks, default=None) == first_it_lacks


@given(some.tuples(some.integers(1, 1), some.integers(5, 20), some.integers(0, 9)))
def test_no_newer_server_can_less(number: tuple[int, int, int]) -> None:
    older, newer = (server_of(".".join(map(str, one))) for one in (number, (number[0], number[1] + 1, 0)))
    assert older.features <= newer.features


@pytest.mark.parametrize("version", ["1.4.1", "1.0.0"])
def test_what_is_too_old_is_refused_by_name(version: str) -> None:
    with pytest.raises(MlrunRefused, match=rf"is {version}, and this service speaks to 1\.5 and newer"):
        server_of(version)


def test_those_are_known_that_were_looked_at() -> None:
    assert all(is_known(version) for version in (*SUPPORTED, "1.5.2"))
    assert not any(is_known(version) for version in ("1.13.0", "2.0.0", "unstable", "1.4.9"))
