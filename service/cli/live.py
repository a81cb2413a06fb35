"""What moves while something takes its time: on a terminal only; elsewhere the same is said in lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from service.cli import screen

if TYPE_CHECKING:
    from rich.console import Console

Tell = Callable[[str], None]


@contextmanager
def busy(first: str, *, aloud: bool = True) -> Iterator[Tell]:
    """Says what goes on and for how long, on standard error; what is yielded is told each new thing.

    Without a terminal each new thing is a line, if it is to be said `aloud`.
    """
    if not sys.stderr.isatty():
        yield screen.note if aloud else _silent
        return
    from rich.console import Console

    with _moving(Console(stderr=True, highlight=False), first, over_stdout=False) as tell:
        yield tell


@contextmanager
def following(first: str) -> Iterator[Tell]:
    """The same below lines that go on to appear on standard output; without a terminal, only those lines."""
    if not screen.on_terminal():
        yield _silent
        return
    with _moving(screen.out(), first, over_stdout=True) as tell:
        yield tell


@contextmanager
def _moving(console: Console, first: str, *, over_stdout: bool) -> Iterator[Tell]:
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    columns = (
        SpinnerColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=console, transient=True, redirect_stdout=over_stdout) as shown:
        task = shown.add_task(first)
        yield lambda text: shown.update(task, description=screen.clean(text))


def watch(draw: Callable[[], None], every_s: float) -> None:
    """`draw` again and again until Ctrl-C: in place on a terminal, else one below the other with the time above."""
    with suppress(KeyboardInterrupt):
        if screen.on_terminal():
            _watch_in_place(draw, every_s)
        while True:
            screen.say(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
            draw()
            sys.stdout.flush()
            time.sleep(every_s)


def _watch_in_place(draw: Callable[[], None], every_s: float) -> NoReturn:
    from rich.live import Live
    from rich.text import Text

    console = screen.out()
    with Live(console=console, auto_refresh=False, screen=True, vertical_overflow="ellipsis") as shown:
        while True:
            with console.capture() as drawn:
                draw()
            shown.update(Text.from_ansi(drawn.get()), refresh=True)
            time.sleep(every_s)


def _silent(_: str) -> None:
    """Nobody looks."""
