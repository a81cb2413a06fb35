"""One warm parent serves the session's jobs; what differs between warm and cold has tests of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.launchers.pack import pack
from tests.peers.runner import Runner, WarmParent
from tests.peers.runner_python import runner_python

__all__ = ["runner_python"]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="session")
def warm_socket(runner_python: Path, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    socket = tmp_path_factory.mktemp("warm") / "socket"
    with WarmParent(runner_python, program, socket, ("--idle", "3600")):  # other tests run between its own
        yield socket


@pytest.fixture
def runner(runner_python: Path, program: Path, warm_socket: Path, tmp_path: Path) -> Runner:
    return Runner(runner_python, program, tmp_path / "jobs", warm_socket)
