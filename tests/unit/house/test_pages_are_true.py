"""Pages that people read name files, targets, verbs and settings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from service.cli.verbs import app
from service.settings import load_settings
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


def test_the_settings_that_the_readme_shows_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = re.findall(
        r"```yaml\n# config\.yaml\n(.*?)```", (HOUSE / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert shown
    monkeypatch.chdir(tmp_path)
    (tmp_path / "git-token").write_text("t0k3n", encoding="utf-8")
    for number, text in enumerate(shown):
        (tmp_path / f"{number}.yaml").write_text(text, encoding="utf-8")
        assert load_settings(tmp_path / f"{number}.yaml", environ={}).repositories


def test_a_verb_that_is_named_exists() -> None:
    verbs = set(getattr(get_command(app), "commands"))  # noqa: B009 (typer's type says less than it has)
    for page in ("README.md", "CHANGELOG.md"):
        words = re.findall(r"`(?:\.venv/bin/)?mlrun-gitops ([a-z]+)", (HOUSE / page).read_text(encoding="utf-8"))
        assert not set(words) - verbs
    readme = (HOUSE / "README.md").read_text(encoding="utf-8")
    listed = re.search(r"`\.venv/bin/mlrun-gitops` has (.*?)\.\n", readme, re.DOTALL)
    assert listed
    assert {"status", "runs", "logs"} <= set(re.findall(r"`([a-z]+)[^`]*`", listed[1])) <= verbs


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
