"""Every figure in its smallest size: what nobody runs for a month rots."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.bench.figure import Bench, judge
from tests.bench.figures import GROUPS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "group",
    [pytest.param(name, marks=[pytest.mark.__getattr__(peer) for peer in GROUPS[name].needs]) for name in GROUPS],
)
def test_it_measures_what_has_a_target(group: str) -> None:
    with tempfile.TemporaryDirectory(prefix="gitops-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # the runner's own user passes through it, as it cannot through pytest's folders
        figures = GROUPS[group].measure(Bench(folder, print, quick=True))
    assert all(figure.ours > 0 for figure in figures)
    assert judge(group, figures)
