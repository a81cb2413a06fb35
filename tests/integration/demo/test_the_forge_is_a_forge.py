"""The demo's forge: git over HTTP for those who say who they are, and webhooks that a receiver of GitHub's accepts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from service.demo.forge import NAME, Forge
from service.domain.events import Ping, Push
from service.errors import DemoError, Unauthorized
from service.receiver.github import FORGE
from tests.peers.git_http import run_git

Taken = tuple[dict[str, str], bytes]


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    forge = Forge(tmp_path / "forge")
    forge.start()
    yield forge
    forge.stop()


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[Taken]]]:
    """Somebody's service: its address, and what came there."""
    taken: list[Taken] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {key.lower(): value for key, value in self.headers.items()}
            taken.append((headers, self.rfile.read(int(headers["content-length"]))))
            self.send_response(202)
            self.end_headers()
            self.wfile.write(b'{"status": "accepted"}')

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/webhooks/github/fraud", taken
    server.shutdown()
    server.server_close()


def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "page").write_text("one\n")
    return folder


def test_a_webhook_is_signed_and_shaped_as_githubs(
    forge: Forge, receiver: tuple[str, list[Taken]], tmp_path: Path
) -> None:
    url, taken = receiver
    assert forge.connect(url)["status"] == 202
    clone = forge.clone(tmp_path / "clone", files(tmp_path))
    first = clone.commit("First")
    assert "webhook of main: 202 accepted" in clone.push().said
    clone.edit("page", "one", "two")
    second = clone.commit("Second")
    clone.push()
    secret = forge.secret_file.read_bytes()
    events = []
    for headers, body in taken:
        FORGE.verify(headers, body, [secret])
        with pytest.raises(Unauthorized):
            FORGE.verify(headers, body + b" ", [secret])
        events.append(FORGE.parse(headers, body))
    assert events == [
        Ping(NAME),
        Push(NAME, "refs/heads/main", before=None, after=first, pusher="ada"),
        Push(NAME, "refs/heads/main", before=first, after=second, pusher="ada"),
    ]
    assert clone.changes() == [("page", "-one"), ("page", "+two")]
    records = [(one["event"], one.get("commit"), one["status"]) for one in forge.deliveries()]
    assert records == [("ping", None, 202), ("push", first, 202), ("push", second, 202)]


def test_a_service_that_is_away_is_written_down_and_does_not_stop_the_push(forge: Forge, tmp_path: Path) -> None:
    assert forge.connect("http://127.0.0.1:9/webhooks/github/fraud")["status"] == 0
    clone = forge.clone(tmp_path / "clone", files(tmp_path))
    clone.commit("First")
    assert "no answer" in clone.push().said
    assert [one["status"] for one in forge.deliveries()] == [0, 0]


def test_who_does_not_say_who_they_are_neither_reads_nor_pushes(forge: Forge, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="could not read Username"):
        run_git(tmp_path, "ls-remote", forge.url)
    run_git(tmp_path, "init", "--quiet", "--initial-branch=main")
    run_git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "Mine")
    with pytest.raises(AssertionError, match="could not read Username"):
        run_git(tmp_path, "push", forge.url, "HEAD")


def test_its_secrets_are_files_of_this_user_alone(forge: Forge, tmp_path: Path) -> None:
    forge.clone(tmp_path / "clone", files(tmp_path))
    folder = forge.token_file.parent
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (forge.token_file, forge.secret_file))
    assert forge.token_file.read_text() not in (tmp_path / "clone" / ".git" / "config").read_text()


def test_an_edit_of_what_is_not_there_says_so(forge: Forge, tmp_path: Path) -> None:
    clone = forge.clone(tmp_path / "clone", files(tmp_path))
    with pytest.raises(DemoError, match="page of the sample project has 'three' 0 times"):
        clone.edit("page", "three", "four")
