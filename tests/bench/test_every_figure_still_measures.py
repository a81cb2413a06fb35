"""Every figure in its smallest size: what nobody runs for a month rots."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.figure import Bench, judge
from tests.bench.figures import GROUPS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "group",
    [pytest.param(name, marks=[pytest.mark.__getattr__(peer) for peer in GROUPS[name].needs]) for name in GROUPS],
)
def test_it_measures_what_has_a_target(group: str, tmp_path: Path) -> None:
    figures = GROUPS[group].measure(Bench(tmp_path, print, quick=True))
    assert all(figure.ours > 0 for figure in figures)
    assert judge(group, figures)
