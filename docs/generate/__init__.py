"""The reference pages, made from the code that they are about: `make docs` writes them, `make lint` fails on a stale one.

A page is a function without arguments that returns its whole text; it may look at nothing but code, so that equal code
gives equal pages on every machine. A new page is one module here and one line in `_PAGES`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.generate import api, cli, events, gitops_yaml, settings

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
OPENAPI = Path(__file__).resolve().parents[2] / "build" / "openapi.json"

_PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings.text,
    "gitops-yaml.md": gitops_yaml.text,
    "events.md": events.text,
    "cli.md": cli.text,
    "api.md": api.text,
}


def pages() -> dict[str, str]:
    """Every generated page: its name in docs/reference and its text."""
    return {name: page() for name, page in _PAGES.items()}


def stale(made: dict[str, str], folder: Path = REFERENCE) -> list[str]:
    """The names of the pages in `folder` that do not say what the code says."""
    return [name for name, text in made.items() if not _says(folder / name, text)]


def _says(page: Path, text: str) -> bool:
    return page.is_file() and page.read_text(encoding="utf-8") == text
