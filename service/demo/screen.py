"""What the demo looks like: 80 columns, coloured and moving on a terminal, plain lines without one."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from service.cli.screen import clean, state
from service.demo.checks import Check
from service.demo.facts import Outcome, event_of
from service.demo.forge import Pushed
from service.demo.timeline import Timeline
from service.launchers.process import watched

_WIDTH = 80
_BARS = 52
_IN_A_LINE = 4
# Without a terminal a line says that it goes on, this often.
_PATIENCE_S = 5.0
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_COLOURS = {
    "push": "bright_black",
    "webhook": "cyan",
    "fetch": "cyan",
    "load": "bright_blue",
    "plan": "bright_blue",
    "save": "bright_blue",
    "start": "magenta",
    "steps": "green",
}


class Screen:
    def __init__(self) -> None:
        terminal = sys.stdout.isatty()
        self._out = Console(
            force_terminal=terminal, no_color=None if terminal else True, highlight=False, markup=False, emoji=False
        )
        self._out.width = min(_WIDTH, self._out.width) if terminal else _WIDTH
        self._moves = terminal and not self._out.is_dumb_terminal

    def title(self, *lines: str) -> None:
        self._print(Text(lines[0], "bold"))
        for line in lines[1:]:
            self._print(Text(line, "bright_black"))
        self._print()

    def chapter(self, number: int, title: str) -> None:
        self._print()
        self._out.print(Rule(Text(f" {number}  {title} ", "bold cyan"), align="left", style="bright_black"))

    def says(self, text: str) -> None:
        self._hang("", Text(text), 2)

    def remark(self, text: str) -> None:
        self._hang("  ", Text(text, "bright_black"), 2)

    def fact(self, label: str, text: str) -> None:
        self._hang("  ✓ ", Text.assemble(f"{label:<19}", (text, "cyan")), 4, "green")

    def check(self, check: Check) -> None:
        self._hang("  ✓ ", Text(check.says), 4, "green")

    def broken(self, check: Check) -> None:
        self._hang("  ✗ ", Text(check.says, "bold"), 4, "red")
        self._hang("    expected  ", Text(clean(repr(check.wanted))), 14, "bright_black")
        self._hang("    seen      ", Text(clean(repr(check.seen))), 14, "bright_black")

    def changes(self, changes: Sequence[tuple[str, str]]) -> None:
        """The lines of a commit, under the names of their files."""
        for file, lines in groupby(changes, key=lambda change: change[0]):
            for i, (_, line) in enumerate(lines):
                self._code(f"  {'' if i else file:<14}", line, "green" if line.startswith("+") else "red")

    def pushed(self, subject: str, pushed: Pushed) -> None:
        self._hang("  $ ", Text(f"git push    # {pushed.commit[:7]} {subject}", "bold"), 4)
        for line in pushed.said.splitlines():
            if line.startswith("remote: "):
                self._hang("    ", Text(clean(line).rstrip(), "bright_black"), 4)

    def traceback(self, text: str) -> None:
        self.lines(text.splitlines(), "red")

    def lines(self, lines: Sequence[str], style: str = "") -> None:
        for line in lines:
            self._code("    │ ", line, style)

    def told(self, outcome: Outcome, *events: str) -> None:
        """What the handlers said: the console's words on `events`, and which messages came to the listener."""
        for message in outcome.console:
            if event_of(message) in events:
                severity, rest = message.split("\n")[0].split(" ", 1)
                colour = {"[info]": "green", "[warning]": "yellow"}.get(severity, "red")
                self._hang("    console  ", Text.assemble((severity, colour), " ", clean(rest)), 13, "bright_black")
        names = [message["event"] for message in outcome.heard]
        self._hang("    webhook  ", Text(f"{len(names)} with good signatures: {', '.join(names)}"), 13, "bright_black")

    def timeline(self, timeline: Timeline, *, bars: bool) -> None:
        """A row a stage, or all in a line."""
        if bars:
            self.blank()
            for stage in timeline.stages:
                self._bar(stage.name, stage.took, stage.begins / timeline.done, stage.ends / timeline.done)
        else:
            parts = [f"{stage.name} {span(stage.took)}" for stage in timeline.stages]
            for i in range(0, len(parts), _IN_A_LINE):
                head = "" if i else "took"
                self._hang(f"    {head:<9}", Text(" · ".join(parts[i : i + _IN_A_LINE])), 13, "bright_black")
        if timeline.first_step is not None:
            text = f"first step {span(timeline.first_step)} after git push, done after {span(timeline.done)}"
            self._hang("    " if bars else "             ", Text(text, "bold"), 13)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        table = Table(box=None, padding=(0, 0, 0, 2), header_style="bright_black")
        for head in heads:
            table.add_column(head, justify="right" if head in ("rounds", "AUC", "first step", "done") else "left")
        for row in rows:
            table.add_row(*(Text(cell, state(cell)[1]) for cell in row))
        self._out.print(table)

    def blank(self) -> None:
        self._print()

    def command(self, command: str, what: str) -> None:
        self._hang(f"  {command:<32}", Text(what, "bright_black"), 34, "bold")

    def raw(self, text: str) -> None:
        """Somebody else's words, as they are."""
        for line in text.splitlines():
            self._hang("", Text(clean(line)), 4)

    @contextmanager
    def working(self, what: str) -> Iterator[Working]:
        """While something takes its time: a spinner, with a bar where it is known how far it is."""
        with (_Moving if self._moves else _Plain)(self._out, what) as working:
            yield working

    def _bar(self, name: str, took: float, begins: float, ends: float) -> None:
        first, last = begins * _BARS, ends * _BARS
        whole, rest = divmod(max(last - first, 0.125), 1)
        bar = "█" * int(whole) + _EIGHTHS[round(rest * 8)].strip()
        room = " " * min(round(first), _BARS - max(len(bar), 1))
        self._print(
            Text.assemble("    ", (f"{name:<8}", "bright_black"), f"{span(took):>7}  ", room, (bar, _COLOURS[name]))
        )

    def _code(self, head: str, line: str, style: str) -> None:
        """A line of a program: cut where it is too long, since wrapped code is hard to read."""
        text = Text(clean(line).rstrip(), style)
        text.truncate(self._out.width - len(head), overflow="ellipsis")
        self._print(Text.assemble((head, "bright_black"), text))

    def _hang(self, head: str, text: Text, indent: int, style: str = "") -> None:
        """`text` behind `head`, wrapped with an indent. Words that are too long are broken, so that no line is."""
        lines = text.wrap(self._out, max(20, self._out.width - max(indent, len(head))))
        for i, line in enumerate(lines or [Text("")]):
            line.rstrip()
            self._print(Text.assemble((head if not i else " " * max(indent, len(head)), style), line))

    def _print(self, text: Text | None = None) -> None:
        if self._out.quiet:  # nobody reads any more, as a thread found out
            raise SystemExit(1)
        self._out.print(text or Text(""), soft_wrap=False)


class Working:
    """What goes on, said by whoever does it."""

    def __init__(self, out: Console, what: str) -> None:
        self._out = out
        self._what = what
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        self._what = text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Moving(Working):
    def __enter__(self) -> Self:
        self._progress = Progress(
            TextColumn(" "),
            SpinnerColumn("dots", style="cyan"),
            TextColumn("{task.description}", style="bright_black"),
            BarColumn(
                20, style="bright_black", complete_style="cyan", finished_style="cyan", pulse_style="bright_black"
            ),
            TimeElapsedColumn(),
            console=self._out,
            transient=True,
        )
        self._task = self._progress.add_task(self._shown(), total=None)
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        super().say(text)
        done, total = watched.share(text) or (None, None)
        self._progress.update(self._task, description=self._shown(), total=total, completed=done)

    def _shown(self) -> str:
        return clean(self._what)[: self._out.width - 38]


class _Plain(Working):
    """A line now and then: who reads a file of it later must not wonder either."""

    def __enter__(self) -> Self:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._speak, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _speak(self) -> None:
        while not self._ended.wait(_PATIENCE_S):
            what = clean(self._what)[: self._out.width - 20]
            self._out.print(Text(f"  … {what}, {self.seconds:.0f} s"))


def span(seconds: float) -> str:
    """`5 ms`, `0.42 s`, `7.1 s`, `12 s`."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
