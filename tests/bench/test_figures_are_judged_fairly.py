"""The harness: medians of pairs, targets that must be there, an exit code that tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import figure, figures
from tests.bench.figure import Figure, Group, Judged, NotProven, in_turn, judge


@pytest.fixture(autouse=True)
def _targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "targets.toml").write_text('[pace]\n"steps" = ">= 1.5"\n')
    monkeypatch.setattr(figure, "TARGETS", tmp_path / "targets.toml")
    monkeypatch.setattr(bench, "BUILD", tmp_path / "build")


def test_one_bad_round_does_not_decide() -> None:
    paired = Figure.paired("steps", [10, 20, 30, 1], [5, 10, 15, 100], "/s")
    assert paired.ratio == 2
    assert (paired.ours, paired.reference) == (15, 12.5)


def test_turns_alternate_and_every_other_round_goes_backwards() -> None:
    order: list[str] = []

    def turn(name: str) -> int:
        order.append(name)
        return len(order)

    found = in_turn(3, {"ours": lambda: turn("ours"), "reference": lambda: turn("reference")})
    assert found == {"ours": [1, 4, 5], "reference": [2, 3, 6]}
    assert order == ["ours", "reference", "reference", "ours", "ours", "reference"]


@pytest.mark.parametrize(("target", "ok"), [(">= 1.5", True), (">= 1.7", False), ("<= 1.6", True), ("<= 1.5", False)])
def test_a_ratio_meets_or_misses_its_target(target: str, ok: bool) -> None:
    assert Judged(Figure("steps", 16, "/s", 10, 1.6), target).ok is ok


def test_a_comparison_without_a_target_and_a_target_without_a_comparison_are_errors() -> None:
    with pytest.raises(NotProven, match="jumps"):
        judge("pace", [Figure.paired("steps", [2], [1], "/s"), Figure.paired("jumps", [2], [1], "/s")])
    with pytest.raises(NotProven, match="steps"):
        judge("pace", [Figure.absolute("steps", [2], "/s")])


@pytest.mark.parametrize(("ours", "code"), [(2.0, 0), (1.0, 1)])
def test_the_exit_code_is_1_when_a_ratio_misses_and_the_file_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ours: float, code: int
) -> None:
    def measure(_: figure.Bench) -> list[Figure]:
        return [Figure.paired("steps", [ours], [1], "/s"), Figure.absolute("weight", [70], "kg")]

    monkeypatch.setitem(figures.GROUPS, "pace", Group(measure))
    assert bench.main(["pace"]) == code
    assert json.loads((tmp_path / "build/bench.json").read_text()) == [
        {
            "name": "steps",
            "ours": ours,
            "reference": 1,
            "unit": "/s",
            "ratio": ours,
            "target": ">= 1.5",
            "ok": not code,
        },
        {
            "name": "weight",
            "ours": 70,
            "reference": None,
            "unit": "kg",
            "ratio": None,
            "target": None,
            "ok": True,
        },
    ]
    assert ("✗ steps: 1.00, and the target is >= 1.5" in capsys.readouterr().out) is bool(code)


def test_what_proves_nothing_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def measure(_: figure.Bench) -> list[Figure]:
        raise NotProven("the reference answered 404")

    monkeypatch.setitem(figures.GROUPS, "pace", Group(measure))
    assert bench.main(["pace"]) == 1
    assert "pace: the reference answered 404" in capsys.readouterr().out


def test_a_figure_that_nobody_knows_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(["nonesuch"])
    assert ended.value.code == 2
    assert "nonesuch" in capsys.readouterr().err
