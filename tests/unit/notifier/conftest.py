"""A notifier on a real store, with the real webhook handler and a receiver that answers as it is told."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.notifier import Notifier
from service.settings import Settings
from service.store import Store, open_store

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"


class Receiver(http.server.ThreadingHTTPServer):
    """`answers` maps a message's title to a status; whatever has none is taken (204). `got` are titles in order."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[str] = []
        self.ids: list[str] = []
        self.answers: dict[str, int] = {}
        self.headers: dict[str, str] = {}
        self.every = 204

    def options(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.server_port}/x"
        return {"kind": "webhook", "url": url, "secret": SECRET, "allow_private": True}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        title = json.loads(self.rfile.read(int(self.headers["content-length"])))["data"]["title"]
        self.server.got.append(title)
        self.server.ids.append(self.headers["webhook-id"])
        self.send_response(self.server.answers.get(title, self.server.every))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(tmp_path: Path, receiver: Receiver) -> Settings:
    return Settings.model_validate(
        {
            "data_dir": tmp_path / "data",
            "handlers": {"hook": receiver.options(), "quiet": {"kind": "console"}},
            "notify": [{"to": "hook"}, {"to": "quiet", "on": ["run.failed"], "projects": ["fraud*"]}],
        }
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = open_store(settings)
    yield opened
    opened.close()


@pytest.fixture
def notifier(settings: Settings, store: Store) -> Notifier:
    return Notifier(settings, store)
