"""The tables of the stand-ins for kubelet and MLRun name modules that are there and sources that can be looked up."""

from __future__ import annotations

import re

import pytest

from tests.peers.kubernetes.kubelet.rules import RULES, Rule
from tests.peers.mlrun_stand_in.program import rules as mlrun
from tests.unit.house.tree import HOUSE

_FOLDER = HOUSE / "tests/peers/kubernetes/kubelet"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.what[:40])
def test_a_rule_has_a_source_and_a_place(rule: Rule) -> None:
    assert all(re.match(r"(docs|src|man): \S", source) for source in rule.source.split("; ") if ":" in source)
    assert [name for name in rule.here.split(", ") if not (_FOLDER / f"{name}.py").is_file()] == []


_MLRUN = HOUSE / "tests/peers/mlrun_stand_in/program"


@pytest.mark.parametrize("rule", mlrun.RULES, ids=lambda rule: rule.what)
def test_what_stands_in_for_mlrun_has_a_source_and_a_place(rule: mlrun.Rule) -> None:
    assert all(re.match(r"(sdk|wheel|1\.5\.2|server|pr|strict): \S", source) for source in rule.source.split("; "))
    module, function = rule.here.split(".")
    assert f"\ndef {function}(" in (_MLRUN / f"{module}.py").read_text()
