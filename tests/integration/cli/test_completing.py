"""Tab in a real bash: what it asks and what it gets."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.api.rows import tell
from tests.integration.cli.conftest import ROOT, Cli

# Sets what bash sets when somebody presses Tab, calls the function that bash would call, prints what it would offer.
_TAB = """\
eval "$(_MLRUN_GITOPS_COMPLETE=source_bash mlrun-gitops)"
complete -p mlrun-gitops >&2
COMP_WORDS=({words}) COMP_CWORD={at}
_mlrun_gitops_completion mlrun-gitops
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def command(tmp_path: Path) -> Path:
    program = tmp_path / "bin" / "mlrun-gitops"
    program.parent.mkdir()
    python = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from service.cli import main; main()"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(python)} "$@"\n')
    program.chmod(0o755)
    return program


def bash(command: Path, script: str, **environment: str) -> str:
    path = f"{command.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", script],
        env={**os.environ, "PATH": path, "HOME": str(command.parents[1]), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def tab(command: Path, line: str, url: str, **environment: str) -> list[str]:
    """What bash offers behind `line`; a blank at its end begins a new word."""
    words = ["mlrun-gitops", *shlex.split(line), *([""] if line.endswith(" ") else [])]
    script = _TAB.format(words=" ".join(map(shlex.quote, words)), at=len(words) - 1)
    return bash(command, script, GITOPS_URL=url, **environment).split()


def test_verbs_options_and_states_are_completed_without_a_service(command: Path) -> None:
    nobody = "http://127.0.0.1:1"
    assert tab(command, "sch", nobody) == ["schedules"]
    assert {"run", "runs", "retry", "redeliver"} <= set(tab(command, "r", nobody))
    assert tab(command, "runs --sta", nobody) == ["--state"]
    assert tab(command, "runs --state su", nobody) == ["succeeded", "superseded"]
    assert tab(command, "deliveries --state a", nobody) == ["accepted"]


def test_names_come_from_the_service(command: Path, cli: Cli) -> None:
    story = tell(cli.api.store)
    assert tab(command, "push ", cli.url) == ["churn", "fraud"]
    assert tab(command, "run ", cli.url) == ["fraud"]
    assert tab(command, "run fraud ", cli.url) == ["main"]
    assert tab(command, "runs --project f", cli.url) == ["fraud"]
    assert tab(command, "deliveries --repository c", cli.url) == ["churn"]
    assert tab(command, "logs ", cli.url) == [story.run, "fraud"]
    assert tab(command, f"cancel {story.run[:10]}", cli.url) == [story.run]
    assert tab(command, "redeliver ", cli.url) == [story.delivery]
    assert tab(command, "syncs ", cli.url) == [story.sync]


def test_a_url_that_is_typed_is_the_one_that_is_asked(command: Path, cli: Cli) -> None:
    assert tab(command, f"push --url {cli.url} f", "http://127.0.0.1:1") == ["fraud"]


def test_nobody_there_and_nobody_who_answers_are_silence(command: Path, guarded_cli: Cli) -> None:
    assert tab(command, "push ", "http://127.0.0.1:1") == []
    assert tab(command, "push ", "no address") == []
    assert tab(command, "push ", guarded_cli.url) == []
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        assert tab(command, "push ", f"http://127.0.0.1:{mute.getsockname()[1]}") == []
        assert time.monotonic() - began < 30


def test_the_script_to_install_is_shown_for_the_shell_that_asks(command: Path) -> None:
    shown = bash(command, "mlrun-gitops --show-completion; true")
    assert "complete -o default -F _mlrun_gitops_completion mlrun-gitops" in shown
    said = bash(command, "mlrun-gitops --install-completion; cat ~/.bashrc; true")
    assert "completion installed" in said
    assert "mlrun-gitops" in said
