"""What is said when something is wrong: what happened, what to do, and the exit code."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


@contextmanager
def another_program(status: int, kind: str, body: bytes, encoding: str = "") -> Iterator[str]:
    """What answers all questions in the same way; its address."""

    class Same(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            if encoding:
                self.send_header("content-encoding", encoding)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Same) as other:
        thread = threading.Thread(target=other.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{other.server_port}"
        finally:
            other.shutdown()
            thread.join()


PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    "answer",
    [
        (404, "text/html", b"not here"),
        (302, "text/html", b""),
        (200, "text/html", b"<html>a page for every address"),
        (200, "application/json", b"[]"),
        (200, "application/json", b'{"runs": []}'),  # as MLRun's own API answers
        (200, "application/json", b'{"a": "\xff"}'),
        (200, "application/json", b"{}", "gzip"),
        (400, PROBLEM, b"[]"),
        (500, PROBLEM, b"{}"),
        (500, PROBLEM, b"no JSON"),
    ],
)
def test_something_else_that_answers_is_not_taken_for_the_service(cli: Cli, answer: Any) -> None:
    with another_program(*answer) as url:
        said = cli("runs", GITOPS_URL=url)
    assert said.code == 1
    assert "is no mlrun-gitops" in said.err
    assert "check --url" in said.err
    assert "Traceback" not in said.err


def test_a_problem_of_another_shape_is_told_all_the_same(cli: Cli) -> None:
    with another_program(799, PROBLEM, b'{"title": "odd", "mend": 1, "output": ["x"]}') as url:
        said = cli("runs", GITOPS_URL=url)
    assert said.code == 1
    assert said.err.startswith("error: odd\n")
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "url", ["", "x", "ftp://x", "http://", "http://[::1", "http://127.0.0.1:x", "http://127.0.0.1\n"]
)
def test_what_is_no_address_is_told_with_an_example(cli: Cli, url: str) -> None:
    said = cli("runs", "--url", url)
    assert said.code == 1
    assert "is no address of a service" in said.err
    assert "write --url http" in said.err


@pytest.mark.parametrize("token", ["canary\n0a9b8c", "canary\t0a9b8c", "canary\u00e9"])
def test_a_token_that_cannot_be_sent_is_not_quoted(cli: Cli, token: str) -> None:
    said = cli("runs", GITOPS_TOKEN=token)
    assert said.code == 1
    assert "GITOPS_TOKEN" in said.err
    assert "canary" not in said.out + said.err


def test_a_password_in_the_address_is_refused_and_not_quoted(cli: Cli) -> None:
    said = cli("runs", "--url", "http://ada:canary@127.0.0.1:1")
    assert said.code == 1
    assert "GITOPS_TOKEN" in said.err
    assert "canary" not in said.out + said.err


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


def test_a_word_that_is_too_long_for_a_folder_is_taken_for_a_project(cli: Cli) -> None:
    said = cli("plan", "a" * 300)
    assert said.code == 1
    assert said.err.startswith("error: The request is not understood: name")
    assert "Traceback" not in said.err


def test_what_a_terminal_cannot_show_is_replaced(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "none.yaml"
    said = cli("doctor", "--config", str(config), PYTHONIOENCODING="ascii")
    assert said.code == 1
    assert "Traceback" not in said.err
    assert said.out.startswith(f"? settings         {config} cannot be read")


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
