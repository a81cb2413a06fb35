"""The generated pages say what the code says, on every machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate import gitops_yaml, pages, settings, stale
from service import app
from service.errors import SettingsError
from service.launchers import supported
from service.settings import Settings
from tests.unit.house.tree import HOUSE, modules
from tests.unit.house.tree import name as path_of


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages()


def test_every_generated_page_is_current(made: dict[str, str]) -> None:
    old = stale(made)
    assert not old, f"{', '.join(old)} no longer say what the code says; run `make docs` and commit them"


def test_a_page_that_says_something_else_or_is_missing_is_noticed(made: dict[str, str], tmp_path: Path) -> None:
    for name, text in made.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert stale(made, tmp_path) == []
    cli, events = "docs/reference/cli.md", "docs/reference/events.md"
    (tmp_path / cli).write_text(made[cli].replace("--wait", "--hurry"), encoding="utf-8")
    (tmp_path / events).unlink()
    assert stale(made, tmp_path) == [events, cli]


def test_pages_do_not_depend_on_the_machine(made: dict[str, str]) -> None:
    """Another hash seed, home, time zone and folder of work; nothing of these may show."""
    script = "import json, sys\nfrom docs.generate import pages\njson.dump(pages(), sys.stdout)"
    elsewhere = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(HOUSE),
        "PYTHONHASHSEED": "7",
        "HOME": "/",
        "TZ": "Asia/Tokyo",
    }
    done = subprocess.run([sys.executable, "-c", script], cwd="/", env={**elsewhere, "COLUMNS": "40", "GITOPS_SERVER__PORT": "1"}, capture_output=True, text=True, check=True)  # fmt: skip
    import json

    assert json.loads(done.stdout) == made
    assert not [name for name, text in made.items() if str(HOUSE) in text or str(Path.home()) + "/" in text]


def test_a_key_that_the_parser_knows_and_the_page_does_not_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    section = next(section for section in gitops_yaml._SECTIONS if "cron" in section.keys)
    monkeypatch.delitem(section.keys, "timezone")
    with pytest.raises(ValueError, match="timezone"):
        gitops_yaml.text()


@pytest.mark.parametrize("setting", sorted(settings._NOT_YET))
def test_a_setting_that_the_page_calls_not_yet_is_acted_on_by_nothing(setting: str) -> None:
    readers = [path for path in modules() if "service/settings" not in path_of(path)]
    assert not [path_of(path) for path in readers if setting in path.read_text(encoding="utf-8")]


def test_a_launcher_that_nobody_has_is_refused() -> None:
    with pytest.raises(SettingsError, match="not in this version"):
        supported.check_supported(Settings.model_validate({"policy": {"launchers": ["podman"]}}))


def test_the_launchers_that_may_be_set_are_those_that_can_be_made() -> None:
    assert tuple(app.LAUNCHERS) == supported.NAMES
