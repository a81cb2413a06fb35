"""Pages that people read name files, targets, verbs and links that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from service.cli.verbs import app
from tests.unit.house.markdown import PAGES, anchors, links, prose
from tests.unit.house.tree import HOUSE, name

_TOP = "service|handlers|tests|docs|requirements|examples|helm"


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (HOUSE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        if "://" in link:
            continue
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (heading and heading not in anchors(target)):
            dead.append(link)
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


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_verb_that_is_named_exists(page: Path) -> None:
    program: Any = get_command(app)
    words = re.findall(r"`(?:\.venv/bin/)?mlrun-gitops ([a-z]+)", prose(page))
    assert not set(words) - set(program.commands)


def test_every_page_of_the_guide_and_the_reference_can_be_found_from_the_index() -> None:
    index = HOUSE / "docs/README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links(index) if "://" not in link}
    pages = {page for page in PAGES if page.parent.name in ("guide", "reference") and "docs" in page.parts}
    assert pages
    assert not [name(page) for page in pages - linked]


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
