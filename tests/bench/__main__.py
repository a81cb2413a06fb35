"""`make bench`: measure, print a table, write build/bench.json; exit code 1 when a ratio misses its target.

`make bench ARGS="acks idle"` takes only these figures; `--quick` takes the smallest sizes and judges nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.bench import report
from tests.bench.figure import Bench, Figure, Judged, NotProven, judge
from tests.bench.figures import GROUPS
from tests.peers import present

BUILD = Path(__file__).parents[2] / "build"
# Peers that take minutes to make: figures that need them are skipped without.
SPARED = frozenset({"kubernetes"})


def main(arguments: Sequence[str] | None = None) -> int:
    wish = _parse(arguments)
    console = Console()
    groups: dict[str, list[Judged]] = {}
    faults: list[str] = []
    for name in wish.figures or GROUPS:
        if how := _lacks(name):
            console.print(f"[bold yellow]{name} is skipped[/]: {how}", highlight=False)
            continue
        try:
            figures = _measured(console, name, quick=wish.quick)
            groups[name] = [Judged(f, None) for f in figures] if wish.quick else judge(name, figures)
        except AssertionError as error:  # NotProven, or a peer's that waited in vain
            faults.append(f"{name}: {error}")
    report.show(console, groups)
    _write([one for judged in groups.values() for one in judged])
    faults += [_missed(one) for judged in groups.values() for one in judged if not one.ok]
    for fault in faults:
        console.print(f"[bold red]✗[/] {fault}", highlight=False)
    return 1 if faults else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("figures", nargs="*", metavar="FIGURES", help=f"some of: {', '.join(GROUPS)}; without: all")
    parser.add_argument("--quick", action="store_true", help="the smallest sizes, nothing is judged")
    wish = parser.parse_args(arguments)
    if unknown := [name for name in wish.figures if name not in GROUPS]:
        parser.error(f"there are no figures {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    return wish


def _lacks(name: str) -> str | None:
    """How to get what not every machine has, and these figures need; with REQUIRE_PEERS its lack is a fault, as of any other peer."""
    wish = os.environ.get("REQUIRE_PEERS", "")
    for peer in set(GROUPS[name].needs) & SPARED:
        if (how := present.missing(peer)) is not None and not present.required(peer, wish):
            return f"needs {peer}: {how}"
    return None


def _measured(console: Console, name: str, *, quick: bool) -> Sequence[Figure]:
    """Raises NotProven."""
    for peer in GROUPS[name].needs:
        if (how := present.missing(peer)) is not None:
            raise NotProven(f"needs {peer}: {how}")
    with tempfile.TemporaryDirectory(prefix="gitops-bench-") as folder, console.status(name) as status:

        def say(text: str) -> None:
            if console.is_terminal:
                status.update(f"{name}: {text}")
            else:
                print(f"{name}: {text}", flush=True)

        return GROUPS[name].measure(Bench(Path(folder), say, quick))


def _missed(one: Judged) -> str:
    return f"{one.figure.name}: {one.figure.ratio:.2f}, and the target is {one.target}"


def _write(judged: Sequence[Judged]) -> None:
    BUILD.mkdir(exist_ok=True)
    document = json.dumps([one.document() for one in judged], indent=2)
    (BUILD / "bench.json").write_text(document + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
