"""What people see: plain lines and tables, coloured and with ages on a terminal, whole and with dates in a pipe."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from service.errors import GitopsError

if TYPE_CHECKING:
    from rich.console import Console

_GOOD, _BAD, _BUSY, _DIM = "green", "red", "yellow", "bright_black"
_STYLES = {
    **dict.fromkeys(("succeeded", "synced", "accepted", "sent", "fired", "in sync"), _GOOD),
    **dict.fromkeys(("failed", "lost", "timed-out", "rejected", "missed"), _BAD),
    **dict.fromkeys(("queued", "starting", "running", "syncing", "pending", "held"), _BUSY),
    **dict.fromkeys(("superseded", "skipped", "duplicate", "ignored", "cancelled", "unchanged", "deleted"), _DIM),
}
# Commit subjects are anybody's text: what moves the cursor or turns text around is not shown.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# Ids and links stay whole in a pipe, whatever their length.
_PIPE_WIDTH = 10_000


@cache
def out() -> Console:
    from rich.console import Console

    tty = sys.stdout.isatty()
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=False, width=None if tty else _PIPE_WIDTH)


def on_terminal() -> bool:
    return sys.stdout.isatty()


def say(*parts: str | tuple[str, str], indent: int = 0, hang: int = 2) -> None:
    """A line of parts, each plain or (text, style); what is too long goes on below, indented `hang` further."""
    from rich.padding import Padding
    from rich.text import Text

    text = Text.assemble(*((clean(p), "") if isinstance(p, str) else (clean(p[0]), p[1]) for p in parts))
    if out().width == _PIPE_WIDTH:
        out().print(" " * indent + text.plain)
        return
    room = max(20, out().width - indent)
    first, *more = text.wrap(out(), room) or [text]
    if not text.plain:
        out().print()
        return
    if more:
        rest = text[len(first.plain) :]
        rest = rest[len(rest.plain) - len(rest.plain.lstrip()) :]
        more = list(rest.wrap(out(), max(20, room - hang)))
    for line, margin in ((first, indent), *((line, indent + hang) for line in more)):
        line.rstrip()
        out().print(Padding(line, (0, 0, 0, margin), expand=False))


def fitting(text: str, room: int) -> str:
    """On a terminal, words that would be broken (paths, mostly) lose their middle; in a pipe nothing does."""
    if not on_terminal():
        return text
    half = room // 2 - 1
    return " ".join(word if len(word) <= room else f"{word[:half]}…{word[-half:]}" for word in text.split(" "))


def columns() -> int:
    return out().width


def note(text: str) -> None:
    """For the person, not for the pipe."""
    sys.stderr.write(f"{clean(text)}\n")
    sys.stderr.flush()


def data(value: Any) -> None:
    """For the pipe: JSON."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def complain(error: GitopsError, about: str = "") -> None:
    """What happened, and below it what to do."""
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    red, off = ("\x1b[31m", "\x1b[0m") if coloured else ("", "")
    lines = [_CONTROL.sub("?", line) for line in error.what.split("\n")]
    head = f"{about}: " if about else ""
    sys.stderr.write(f"{red}error:{off} {head}" + "\n".join(lines) + "\n")
    for line in error.detail.splitlines()[-40:]:
        sys.stderr.write(f"  | {_CONTROL.sub('?', line)}\n")
    if error.mend:
        sys.stderr.write(f"  {clean(error.mend)}\n")


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str | tuple[str, str]]],
    *,
    notes: Iterable[str] | None = None,
    empty: str,
) -> None:
    """Columns as wide as what is in them. `notes` say something long about each row: the last column in a pipe, a
    line below the row on a terminal."""
    lines = [[_cell(cell) for cell in row] for row in rows]
    said = [clean(text) for text in notes] if notes is not None else None
    if not lines:
        note(empty)
    elif out().width == _PIPE_WIDTH:
        plain = [[text for text, _ in line] for line in lines]
        told = [[*line, text] for line, text in zip(plain, said, strict=True)] if said else plain
        _aligned([*heads, "WHY"] if said else heads, told)
    else:
        _coloured(heads, lines, said)


def _coloured(heads: Sequence[str], lines: list[list[tuple[str, str]]], notes: list[str] | None) -> None:
    widths = _widths(heads, [[text for text, _ in line] for line in lines])
    say(dim("  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True)).rstrip()))
    for i, line in enumerate(lines):
        cells = [(text.ljust(width + 2), style) for (text, style), width in zip(line, widths, strict=True)]
        say(*cells[:-1], line[-1])
        if notes and notes[i]:
            say(dim(notes[i]), indent=2)


def _aligned(heads: Sequence[str], lines: list[list[str]]) -> None:
    widths = _widths(heads, lines)
    for line in [list(heads), *lines]:
        sys.stdout.write("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() + "\n")


def _widths(heads: Sequence[str], lines: list[list[str]]) -> list[int]:
    return [max(len(line[i]) for line in [list(heads), *lines]) for i in range(len(heads))]


def _cell(cell: str | tuple[str, str]) -> tuple[str, str]:
    text, style = (cell, "") if isinstance(cell, str) else cell
    return clean(text), style


def state(name: str | None) -> tuple[str, str]:
    """A state with its colour."""
    return (name, _STYLES.get(name, "")) if name else ("–", _DIM)


def dim(text: str) -> tuple[str, str]:
    return text, _DIM


def bad(text: str) -> tuple[str, str]:
    return text, _BAD


def clean(text: str) -> str:
    return _CONTROL.sub(" ", text)


def when(at: str | None) -> str:
    """`3 min ago`, `in 5 h`; in a pipe the date."""
    if at is None:
        return "never"
    then = datetime.fromisoformat(at)
    if not on_terminal():
        return then.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    seconds = (datetime.now(UTC) - then).total_seconds()
    if abs(seconds) < 1:
        return "now"
    age = f"{abs(seconds):.0f} s" if abs(seconds) < 10 else span(abs(seconds))
    return f"{age} ago" if seconds > 0 else f"in {age}"


def span(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} d"


def took(start: str | None, end: str | None) -> str:
    """How long it took, or takes since."""
    if start is None:
        return "–"
    until = datetime.fromisoformat(end) if end else datetime.now(UTC)
    return span(max(0.0, (until - datetime.fromisoformat(start)).total_seconds()))


def short_ref(ref: str | None) -> str:
    return ref.removeprefix("refs/heads/").removeprefix("refs/") if ref else "–"
