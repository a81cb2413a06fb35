"""How long each stage took adds up to the whole, and no stage begins before the one before it ended."""

from __future__ import annotations

from itertools import pairwise

import pytest

from service.demo import timeline
from tests.unit.demo import told


def test_a_push_that_ran_has_all_stages_in_order() -> None:
    found = timeline.of(told.first())
    assert [stage.name for stage in found.stages] == "push webhook fetch load plan save start steps".split()
    assert all(before.ends <= after.begins + 1e-6 for before, after in pairwise(found.stages))
    assert found.done == found.stages[-1].ends == pytest.approx(3.0)
    assert found.first_step == pytest.approx(3.0)
    took = {stage.name: round(stage.took, 3) for stage in found.stages}
    assert took["webhook"] == 0.01
    assert (took["load"], took["plan"], took["save"]) == (0.5, 0.1, 0.2)


def test_a_push_that_failed_ends_where_it_failed() -> None:
    found = timeline.of(told.third())
    assert [stage.name for stage in found.stages] == "push webhook fetch load".split()
    assert found.first_step is None
    assert found.done == pytest.approx(2.0)


def test_what_was_never_synced_took_what_it_took_to_find_that_out() -> None:
    assert timeline.of(told.older()).stages[-1].name == "load"
