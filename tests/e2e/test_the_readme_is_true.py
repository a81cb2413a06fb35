"""Somebody who has read only the README: a fresh copy in a new folder, its commands in its order, its config.

Only what nobody here has is replaced: the forge's host by a Git server on this machine, Slack by its stand-in, the port.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.settings import load_settings
from tests.peers.forge import deliver, push_payload, signed
from tests.peers.git_http import GitRepository, GitServer
from tests.peers.service_process import free_port, wait_for
from tests.peers.slack import SlackPeer
from tests.unit.house.markdown import Block, blocks
from tests.unit.house.tree import HOUSE, files

pytestmark = [pytest.mark.runner, pytest.mark.slow]

LONG_S = 240.0
TOKEN = "a-token-that-may-read-it"
# What Git servers take for a token's user where the forge is GitHub.
TOKEN_USER = "x-access-token"


def readme(language: str) -> list[Block]:
    return [block for block in blocks(language) if block.page == HOUSE / "README.md"]


@pytest.fixture
def checkout() -> Iterator[Path]:
    """What a clone has: everything that Git tracks here, and nothing that was made since. Runners of a root service have
    a user of their own, who must get in."""
    folder = Path(tempfile.mkdtemp(prefix="gitops-newcomer-"))
    folder.chmod(0o755)
    try:
        clone = folder / "mlrun-gitops"
        for file in files(""):
            copy = clone / file.relative_to(HOUSE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copy)
        yield clone
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class World:
    """What a team has around the service."""

    repository: GitRepository
    slack: SlackPeer
    port: int

    def replaced(self, text: str) -> str:
        """The README's words, with a host that is here. Which forge it is, GitHub's own host would tell `init`."""
        text = re.sub(r"(init https://github\.com/\S+)", r"\1 --forge github", text)
        return text.replace("https://github.com/ml/fraud.git", self.repository.url)

    def environment(self, checkout: Path) -> dict[str, str]:
        """What the config of the README cannot know: this machine's port, and that Slack is not Slack. Each command has a
        shell of its own here, so what an `export PATH` did is kept."""
        slack = {"API_URL": self.slack.api_url, "ALLOW_PRIVATE": "true"}
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith(("GITOPS_", "VIRTUAL_ENV"))},
            "PATH": f"{checkout}/.venv/bin:{os.environ['PATH']}",
            "GITOPS_SERVER__PORT": str(self.port),
            "GITOPS_URL": f"http://127.0.0.1:{self.port}",
            **{f"GITOPS_HANDLERS__TEAM__{key}": value for key, value in slack.items()},
        }


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with GitServer(tmp_path / "forge", user=TOKEN_USER, password=TOKEN) as forge, SlackPeer() as slack:
        yield World(forge.create("ml/fraud", private=True), slack, free_port())


def test_a_newcomer_gets_from_a_clone_to_a_run_that_slack_tells_of(
    checkout: Path, world: World, tmp_path: Path
) -> None:
    team = world.repository.clone(tmp_path / "work")
    shutil.copytree(HOUSE / "examples/quickstart", team.path, dirs_exist_ok=True)
    project = team.path / "project.yaml"
    project.write_text(project.read_text(encoding="utf-8").replace("quickstart", "fraud"), encoding="utf-8")
    first = team.commit({}, "A project")
    team.push()
    (checkout / "git-token").write_text(f"{TOKEN}\n", encoding="utf-8")
    (checkout / "slack-token").write_text(f"{world.slack.token}\n", encoding="utf-8")

    *before, serve = _told_to_type()
    for command in before:
        _type(command, checkout, world)
    _same_as_the_readme_shows(checkout / "config.yaml", world)

    with _typed_and_left_running(serve, checkout, world) as http:
        wait_for(lambda: _ended(http, "syncs", commit=first), LONG_S, "the first sync")
        assert _all(http, "runs") == []
        team.commit({"README.md": "about this project"}, "More rows")
        second = team.commit({"src/notes.py": "# nothing\n"}, "More notes")
        team.push()
        secret = (checkout / "fraud.webhook-secret").read_text(encoding="utf-8").strip()
        answer = deliver(http, "fraud", *signed(push_payload("ml/fraud", first, second), secret=secret))
        assert answer is not None
        assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
        wait_for(lambda: _ended(http, "runs", commit=second), LONG_S, "the run")
        [run] = _all(http, "runs", commit=second)
        assert (run["workflow"], run["state"]) == ("main", "succeeded")
        assert [one["name"] for one in _all(http, "schedules")] == ["nightly"]
        wait_for(lambda: _says(world.slack, "succeeded"), LONG_S, lambda: f"Slack: {_texts(world.slack)}")
    assert world.slack.refused == []


def _told_to_type() -> list[str]:
    """The commands of the README's section about one's own repository, the last of which is to be left running."""
    text = (HOUSE / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^## Your repository.*?(?=^## )", text, re.MULTILINE | re.DOTALL)
    assert section
    shown = re.findall(r"```console\n(.*?)```", section[0], re.DOTALL)
    commands = [
        line.removeprefix("$ ")
        for block in shown
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("$ ")
    ]
    assert " serve" in commands[-1]
    return commands


def _type(command: str, folder: Path, world: World) -> None:
    done = subprocess.run(
        ["bash", "-euc", world.replaced(command)],
        cwd=folder,
        env=world.environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_S,
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"


@contextmanager
def _typed_and_left_running(command: str, folder: Path, world: World) -> Iterator[httpx.Client]:
    """The service in its own terminal; it ends well when it is told to."""
    log = folder / "serve.log"
    with log.open("ab") as said:
        process = subprocess.Popen(
            ["bash", "-euc", f"exec {world.replaced(command)}"],
            cwd=folder,
            env=world.environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{world.port}", timeout=10, trust_env=False) as http:
            wait_for(lambda: _ready(http), LONG_S, lambda: log.read_text(encoding="utf-8"))
            yield http
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    assert code == 0, log.read_text(encoding="utf-8")[-4000:]


def _ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _same_as_the_readme_shows(config: Path, world: World) -> None:
    """`init` writes what the README shows; the README's text is loaded from beside it."""
    [shown] = readme("yaml")
    beside = config.with_name("shown.yaml")
    beside.write_text(world.replaced(shown.text), encoding="utf-8")
    lines = [line for line in shown.text.splitlines() if not line.startswith("#")]
    assert len(lines) <= 10
    written = _settings(config)
    assert written == _settings(beside)


def _settings(config: Path) -> Any:
    """As the service would load it, in the folder it is started in."""
    here = Path.cwd()
    os.chdir(config.parent)
    try:
        return load_settings(config, environ={})
    finally:
        os.chdir(here)


def _all(http: httpx.Client, what: str, **query: str) -> list[Any]:
    answer = http.get(f"/api/v1/{what}", params={"limit": "500", **query})
    answer.raise_for_status()
    items: list[Any] = answer.json()["items"]
    return items


def _ended(http: httpx.Client, what: str, **query: str) -> bool:
    found = _all(http, what, **query)
    return bool(found) and all(one["ended_at"] for one in found)


def _texts(slack: SlackPeer) -> list[str]:
    return [message.text for message in slack.messages()]


def _says(slack: SlackPeer, word: str) -> bool:
    return any(word in text for text in _texts(slack))
