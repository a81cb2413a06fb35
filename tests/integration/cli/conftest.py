"""The command line as people use it: a process of its own, against the real API on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from service.settings import Settings
from tests.integration.api.conftest import SETTINGS, TOKEN, Api, make_api

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


def alone(*words: str, at: Path = ROOT, environment: Mapping[str, str] | None = None) -> Said:
    """A verb that needs no service, typed in the folder `at`."""
    done = subprocess.run(
        [sys.executable, "-m", "service", *words],
        cwd=at,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Cli:
    """`api` is what it speaks to, at `url`."""

    url: str
    api: Api

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "service", *words],
            env={**os.environ, "GITOPS_URL": self.url, "NO_COLOR": "1", **environment},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: str, **environment: str) -> Said:
        return self.end(self.start(*words, **environment))

    def end(self, process: subprocess.Popen[str]) -> Said:
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"it does not end; it said:\n{out}\n{err}") from None
        return Said(process.returncode, out, err)


def serve(settings: Settings) -> Iterator[Cli]:
    api = make_api(settings)
    server = make_server("127.0.0.1", 0, api.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="api")
    thread.start()
    try:
        yield Cli(f"http://127.0.0.1:{server.server_port}", api)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        api.store.close()


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    yield from serve(Settings.model_validate({"data_dir": tmp_path / "data", **SETTINGS}))


@pytest.fixture
def guarded_cli(tmp_path: Path) -> Iterator[Cli]:
    tokens = {"tokens": [{"name": "ci", "token": TOKEN}]}
    yield from serve(Settings.model_validate({"data_dir": tmp_path / "data", "auth": tokens, **SETTINGS}))
