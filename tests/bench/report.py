"""The table that people read, and the machine that it holds for."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.bench.figure import Judged


def show(console: Console, groups: Mapping[str, Sequence[Judged]]) -> None:
    """All figures. A ratio is the median of the rounds' ratios, so it need not be the ratio of the medians beside it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=machine(), caption_justify="left")
    table.add_column("figure", ratio=1)
    for column in ("ours", "reference", "ratio", "target"):
        table.add_column(column, justify="right", no_wrap=True)
    for group, judged in groups.items():
        table.add_row(Text(group, style="bold"))
        for one in judged:
            figure = one.figure
            table.add_row(
                Text(f"  {figure.name}"),
                _with_unit(figure.ours, figure.unit),
                "" if figure.reference is None else number(figure.reference),
                "" if figure.ratio is None else ratio(figure.ratio),
                _verdict(one),
            )
        table.add_section()
    console.print(table)


def number(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(value: float) -> str:
    """With a third decimal where two would say nothing."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def machine() -> str:
    """Whose figures these are."""
    return f"{socket.gethostname()}: {os.cpu_count()} cores ({_processor()}), {platform.system()} {platform.release()}, Python {platform.python_version()}"


def _with_unit(value: float, unit: str) -> str:
    return f"{number(value)} {unit}"


def _verdict(one: Judged) -> Text:
    if one.target is None:
        return Text("")
    return Text(f"{one.target} {'✓' if one.ok else '✗'}", style="green" if one.ok else "bold red")


def _processor() -> str:
    """As Linux calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.machine()
