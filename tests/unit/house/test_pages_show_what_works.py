"""What a page shows is tried: YAML is read by the readers it is for, commands by the real command line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml
from typer.main import get_command

from docs.generate import chart_schema
from handlers import KINDS
from service.cli.verbs import app
from service.domain.gitops_file import parse
from service.settings import load_settings
from tests.unit.house.markdown import Block, blocks, commands
from tests.unit.house.tree import HOUSE

# Programs that a reader has, besides ours.
_TOOLS = frozenset({"git", "curl", "cd", "export", "umask", "mkdir", "cp", "mv", "rm", "tar", "jq", "openssl", "sqlite3", "systemctl", "tail", "cat", "chmod", "helm", "kubectl", "docker"})  # fmt: skip
_OPENING = re.compile(r"# (config\.yaml|\.gitops\.yaml|project\.yaml|values\.yaml)\b")
# What is in a file of secrets, by the key that names it.
_SECRETS = {"url_file": "https://hooks.example.com/x", "token_file": "xoxb-only-for-the-pages"}
_ANY_SECRET = "whsec_" + "c2VjcmV0LXdvcmQtZm9yLXRoZS1wYWdlcy0wMQ=="

YAML = blocks("yaml")


def _kind(block: Block) -> str:
    """Which file it is: its first line says so, or it begins as only one of them does."""
    if found := _OPENING.match(block.text):
        return found[1]
    if block.text.startswith("version: 1\n"):
        return ".gitops.yaml"
    raise AssertionError(f"{block} does not say which file it is: begin it with `# config.yaml` or `# .gitops.yaml`")


@pytest.mark.parametrize("block", YAML, ids=str)
def test_yaml_is_taken_by_the_reader_it_is_for(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    match _kind(block):
        case "config.yaml":
            _loads(block.text, tmp_path, monkeypatch)
        case ".gitops.yaml":
            assert parse(block.text)
        case "values.yaml":
            jsonschema.validate(yaml.safe_load(block.text), chart_schema.schema())
        case _:
            assert yaml.safe_load(block.text)["metadata"]["name"]


def _loads(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings are read whole, with the files of secrets that they name, and every handler takes its options."""
    monkeypatch.chdir(folder)
    for key, named in set(re.findall(r"(\w+_file): *([^\s,}]+)", text)):
        file = folder / key / named.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_SECRETS.get(key, _ANY_SECRET) + "\n", encoding="utf-8")
        text = re.sub(rf"\b{key}: *{re.escape(named)}(?=[\s,}}])", f"{key}: {file}", text)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    settings = load_settings(folder / "config.yaml", environ={})
    for handler in settings.handlers.values():
        KINDS[handler.kind](handler.options)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    assert json.loads(block.text.replace("…", ""))


def test_the_pages_have_yaml_and_commands_at_all() -> None:
    assert {_kind(block) for block in YAML} >= {"config.yaml", ".gitops.yaml"}
    assert any(words[0].endswith("mlrun-gitops") for _, words in commands())


@pytest.mark.parametrize(("place", "words"), commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_command_is_one_that_can_be_given(place: str, words: list[str]) -> None:
    program, *arguments = [word for word in words if not re.fullmatch(r"[A-Z_]+=\S*", word)] or ["export"]
    match program.removeprefix(".venv/bin/"):
        case "mlrun-gitops":
            _parses(place, arguments)
        case "make":
            targets = set(re.findall(r"^([a-z]+):", (HOUSE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
            assert arguments[0] in targets, place
        case tool:
            assert tool in _TOOLS, f"{place} tells to call {tool!r}, which nothing says how to get"


def _parses(place: str, arguments: list[str]) -> None:
    """The real command line takes it; nothing is done."""
    program: Any = get_command(app)
    with _as_reader_sees(place):
        while arguments and arguments[0] in getattr(program, "commands", {}):
            name, *arguments = arguments
            program = program.commands[name]
            if not hasattr(program, "commands"):
                program.make_context(name, list(_plain(arguments)))
                return
        options = {name for param in program.params for name in param.opts} | {"--help"}
        assert set(arguments) <= options, f"{place}: {arguments} is no verb"


def _plain(arguments: list[str]) -> Iterator[str]:
    """Without what the shell would take for itself: a redirection and its target."""
    words = iter(arguments)
    for word in words:
        if word in (">", ">>", "<"):
            next(words)
        else:
            yield word


@contextmanager
def _as_reader_sees(place: str) -> Iterator[None]:
    try:
        yield
    except typer.Exit:
        pass
    except Exception as error:
        raise AssertionError(f"{place}: {type(error).__name__}: {getattr(error, 'message', error)}") from error
