"""What is said when something is wrong: what happened, what to do, and the exit code."""

from __future__ import annotations

import http.server
import socket
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.verbs import app
from tests.integration.api.conftest import TOKEN
from tests.integration.api.rows import tell
from tests.integration.cli.conftest import Cli


def test_a_service_that_is_not_there_is_answered_with_the_next_step(cli: Cli) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can have it
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        said = cli("status", "--url", url)
    assert said.code == 1
    assert f"nothing answers at {url}" in said.err
    assert "mlrun-gitops serve" in said.err
    assert "Traceback" not in said.err


def test_something_else_that_answers_is_not_taken_for_the_service(cli: Cli, tmp_path: Path) -> None:
    class Quiet(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        said = cli("status", GITOPS_URL=f"http://127.0.0.1:{other.server_port}")
        other.shutdown()
        thread.join()
    assert said.code == 1
    assert "is no mlrun-gitops" in said.err


def test_without_a_token_the_mend_is_told_and_with_one_it_works(guarded_cli: Cli) -> None:
    refused = guarded_cli("status")
    assert refused.code == 1
    assert "GITOPS_TOKEN" in refused.err
    assert guarded_cli("status", GITOPS_TOKEN=TOKEN).code == 0
    assert guarded_cli("status", "--token", TOKEN).code == 0
    wrong = guarded_cli("status", GITOPS_TOKEN="canary-0a9b8c7d6e5f")
    assert wrong.code == 1
    assert "canary" not in wrong.out + wrong.err


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "01arz3ndektsv4rrffq69g5fav"],
        ["push", "nobody"],
        ["run", "nobody", "main"],
        ["cancel", "01arz3ndektsv4rrffq69g5fav"],
        ["redeliver", "x/../y"],
        ["status", "--url", "ftp://x"],
    ],
)
def test_what_fails_ends_with_1_and_one_error(cli: Cli, words: list[str]) -> None:
    said = cli(*words)
    assert said.code == 1
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "words", [[], ["nothing"], ["runs", "--limit", "0"], ["push"], ["status", "--colour"], ["run", "a", "b", "-a", "x"]]
)
def test_bad_usage_ends_with_2(cli: Cli, words: list[str]) -> None:
    said = cli(*words)
    assert said.code == 2
    assert "Traceback" not in said.err


def test_settings_that_are_wrong_end_serve_with_2_and_all_of_them_named(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("server: {prot: 1}\nnotify: [{to: nobody}]\n", encoding="utf-8")
    said = cli("serve", "--config", str(config))
    assert said.code == 2
    assert "server.prot: no such setting; did you mean port?" in said.err


def test_a_problem_of_the_service_is_told_with_its_mend(cli: Cli) -> None:
    tell(cli.api.store)
    said = cli("run", "fraud", "mian")
    assert said.code == 1
    assert "has no workflow 'mian'" in said.err
    assert "it has: main" in said.err


def test_every_verb_explains_itself_in_a_line_that_is_not_cut() -> None:
    ask = CliRunner()
    listed = ask.invoke(app, ["--help"]).output.split("Commands:")[1]
    verbs = [line.split()[0] for line in listed.splitlines() if line.strip()]
    assert {"serve", "push", "status", "runs", "logs", "schedules", "deliveries"} <= set(verbs)
    assert "..." not in listed
    for verb in verbs:
        assert ask.invoke(app, [verb, "--help"]).exit_code == 0


def test_help_needs_nothing_heavy(cli: Cli) -> None:
    said = cli("--help", PYTHONPROFILEIMPORTTIME="1")
    loaded = {line.rsplit("|", 1)[1].strip() for line in said.err.splitlines() if "|" in line}
    assert "typer" in loaded
    assert not loaded & {"flask", "sqlalchemy", "pydantic", "httpx", "rich.console", "granian", "msgspec", "yaml"}


def test_tokens_are_long_and_never_the_same(cli: Cli) -> None:
    first, second = cli("token").out.strip(), cli("token").out.strip()
    assert first != second
    assert len(first) == 64
    assert cli("token", "--webhook").out.startswith("whsec_")
