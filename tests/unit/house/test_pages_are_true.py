"""Pages that people read name files, targets and packages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.house.tree import HOUSE, files, name

PAGES = files(".md")
_TOP = "service|handlers|tests|docs|requirements|examples|helm"


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (HOUSE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    dead = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not dead


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_path_that_is_named_exists(page: Path) -> None:
    paths = re.findall(rf"`((?:{_TOP})/[\w./*<>-]*)`", page.read_text(encoding="utf-8"))
    patterns = {path: re.sub(r"<[^>]*>", "*", path).rstrip("/") for path in paths}
    assert not [path for path, pattern in patterns.items() if not any(HOUSE.glob(pattern))]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_make_target_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r"(?:`|\$ )make ([a-z]+)", page.read_text(encoding="utf-8")))
    assert not named - _targets()


def test_make_tells_what_every_target_is_for() -> None:
    remarked = set(re.findall(r"^([a-z]+):.*## \S", (HOUSE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert remarked == _targets()


def test_the_index_of_decisions_is_complete() -> None:
    index = (HOUSE / "docs/decisions/README.md").read_text(encoding="utf-8")
    records = sorted((HOUSE / "docs/decisions").glob("0*.md"))
    assert re.findall(r"\((0\d{3}-[\w-]+\.md)\)", index) == [record.name for record in records]
    for number, record in enumerate(records, 1):
        text = record.read_text(encoding="utf-8")
        assert text.startswith(f"# {number}. ")
        assert [line for line in text.splitlines() if line.startswith("## ")] == [
            "## Context",
            "## Decision",
            "## Consequences",
        ]
        assert re.search(r"^Status: (accepted|superseded by \[)", text, re.MULTILINE)
