"""Tables, code and headings of the generated pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

# So that nobody mends a page where it is not made.
NOTE = "<!-- Made by `make docs` from {source}; change it there. -->"


def page(title: str, source: str, *parts: str) -> str:
    """A whole page from its parts, one blank line between them."""
    return "\n\n".join([f"# {title}", NOTE.format(source=source), *(part.strip("\n") for part in parts if part)]) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Empty without rows."""
    lines = [_line(row) for row in rows]
    return "\n".join([_line(heads), _line(["---"] * len(heads)), *lines]) if lines else ""


def code(value: Any) -> str:
    """A value as it is written in YAML or JSON, in a code span."""
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"


def block(text: str, language: str = "") -> str:
    return f"```{language}\n{text.strip()}\n```"


def json_block(value: Any) -> str:
    return block(json.dumps(value, indent=2, ensure_ascii=False), "json")


def anchor(heading: str) -> str:
    """Where a link to this heading leads: in lower case, words joined by dashes, other signs left out."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def sentence(text: str | None) -> str:
    """A docstring's or description's text on one line; what reST writes as ``x`` is `x` here."""
    return re.sub(r"``([^`]+)``", r"`\1`", " ".join((text or "").split()))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in cells) + " |"
