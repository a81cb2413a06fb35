"""The pages that are made from the code that they are about: `make docs` writes them, `make lint` fails on a stale one.

A page is a function without arguments that returns its whole text; it may look at nothing but code, so that equal code
gives equal pages on every machine. A new page is one module here and one line in `_PAGES`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.generate import api, chart_schema, chart_values, cli, events, gitops_yaml, rights, settings

HOUSE = Path(__file__).resolve().parents[2]
OPENAPI = HOUSE / "build" / "openapi.json"

_PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/settings.md": settings.text,
    "docs/reference/gitops-yaml.md": gitops_yaml.text,
    "docs/reference/events.md": events.text,
    "docs/reference/cli.md": cli.text,
    "docs/reference/api.md": api.text,
    "docs/reference/rights.md": rights.text,
    "helm/mlrun-gitops/README.md": chart_values.text,
    "helm/mlrun-gitops/files/rights.yaml": rights.chart_rules,
    "helm/mlrun-gitops/values.schema.json": chart_schema.text,
}


def pages() -> dict[str, str]:
    """Every generated page: its place in the checkout and its text."""
    return {name: page() for name, page in _PAGES.items()}


def stale(made: dict[str, str], house: Path = HOUSE) -> list[str]:
    """The places of the pages that do not say what the code says."""
    return [name for name, text in made.items() if not _says(house / name, text)]


def _says(page: Path, text: str) -> bool:
    return page.is_file() and page.read_text(encoding="utf-8") == text
