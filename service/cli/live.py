"""What moves while something takes its time: on a terminal only; elsewhere the same is said in lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.cli import screen


@contextmanager
def busy(first: str) -> Iterator[Callable[[str], None]]:
    """Says what goes on and for how long, on standard error; what is yielded is told each new thing."""
    if not sys.stderr.isatty():
        yield screen.note
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as shown:
        task = shown.add_task(first)
        yield lambda text: shown.update(task, description=screen.clean(text))
