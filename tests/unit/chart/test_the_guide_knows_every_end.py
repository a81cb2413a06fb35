"""The operator's guide has every end of a runner's pod, with what to do."""

from __future__ import annotations

import re

import pytest

from service.launchers import EndReason
from tests.unit.house.tree import HOUSE

GUIDE = (HOUSE / "docs/guide/operators-guide.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`[^|]+`) \| ([^|]*) \| ([^|]+) \|$", GUIDE, re.MULTILINE)


@pytest.mark.parametrize("reason", EndReason)
def test_an_end_of_a_pod_has_what_to_do(reason: EndReason) -> None:
    assert [todo for ends, _, todo in ROWS if f"`{reason.value}`" in ends]


def test_the_guide_names_no_end_that_does_not_exist() -> None:
    named = {end for ends, _, _ in ROWS for end in re.findall(r"`([a-z-]+)`", ends)}
    assert named == {reason.value for reason in EndReason}
