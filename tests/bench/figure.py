"""What a benchmark comes to: a figure, measured in turn with its reference, and judged by `targets.toml`.

The machine is noisy and shared, so nothing is compared across time: ours and the reference run turn by turn, each turn gives a
ratio of its own, and the figure is the median of these. A figure without a reference is for people; it fails nothing.
"""

from __future__ import annotations

import statistics
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

T = TypeVar("T")

TARGETS = Path(__file__).with_name("targets.toml")


class NotProven(AssertionError):
    """What was measured did not do its work; its figure would be a lie."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measurement works with. `quick` asks for the smallest sizes at which everything still happens."""

    folder: Path
    say: Callable[[str], None]
    quick: bool = False

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Figure:
    """`name` is for people, and the key of its target. Without a `ratio` it is only printed."""

    name: str
    ours: float
    unit: str
    reference: float | None = None
    ratio: float | None = None

    @classmethod
    def paired(cls, name: str, ours: Sequence[float], reference: Sequence[float], unit: str) -> Self:
        """Of turns that belong together: medians, and the median of the turns' ratios."""
        ratios = [a / b for a, b in zip(ours, reference, strict=True)]
        middle = statistics.median
        return cls(name, middle(ours), unit, middle(reference), middle(ratios))

    @classmethod
    def absolute(cls, name: str, values: Sequence[float], unit: str) -> Self:
        return cls(name, statistics.median(values), unit)


@dataclass(frozen=True, slots=True)
class Group:
    """Figures that are measured together, and the peers (`tests.peers.present`) without which they can't be."""

    measure: Callable[[Bench], Sequence[Figure]]
    needs: tuple[str, ...] = ()


def in_turn(
    rounds: int, turns: Mapping[str, Callable[[], T]], say: Callable[[str], None] = lambda _: None
) -> dict[str, list[T]]:
    """Run each of `turns` once a round, every other round backwards, so that a drift of the machine meets all alike."""
    found: dict[str, list[T]] = {name: [] for name in turns}
    for number in range(rounds):
        for name in list(turns) if number % 2 == 0 else list(turns)[::-1]:
            say(f"{name}, {number + 1} of {rounds}")
            found[name].append(turns[name]())
    return found


@dataclass(frozen=True, slots=True)
class Judged:
    """A figure beside its target: `>= 1.5` or `<= 0.8`, None where there is none."""

    figure: Figure
    target: str | None

    @property
    def ok(self) -> bool:
        if self.target is None or self.figure.ratio is None:
            return True
        relation, _, bound = self.target.partition(" ")
        return self.figure.ratio >= float(bound) if relation == ">=" else self.figure.ratio <= float(bound)

    def document(self) -> dict[str, Any]:
        """As it stands in build/bench.json."""
        figure = self.figure
        return {
            "name": figure.name,
            "ours": figure.ours,
            "reference": figure.reference,
            "unit": figure.unit,
            "ratio": figure.ratio,
            "target": self.target,
            "ok": self.ok,
        }


def targets(group: str) -> dict[str, str]:
    """The targets of a group of figures, by figure. Raises ValueError for one that is no target."""
    found: dict[str, str] = tomllib.loads(TARGETS.read_text(encoding="utf-8")).get(group, {})
    for name, target in found.items():
        relation, _, bound = target.partition(" ")
        if relation not in (">=", "<=") or not float(bound) > 0:
            raise ValueError(f"{TARGETS.name}: {group}: {name!r} is {target!r}, neither '>= X' nor '<= X'")
    return found


def judge(group: str, figures: Sequence[Figure]) -> list[Judged]:
    """Raises NotProven unless exactly the figures with a ratio have a target."""
    wanted = targets(group)
    compared = {figure.name for figure in figures if figure.ratio is not None}
    if compared != wanted.keys():
        raise NotProven(f"{group}: compared were {sorted(compared)}, targets are for {sorted(wanted)}")
    return [Judged(figure, wanted.get(figure.name)) for figure in figures]
