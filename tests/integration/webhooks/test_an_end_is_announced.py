"""SIGTERM where others serve too: not ready at once, and whoever comes before word of that got round is answered."""

from __future__ import annotations

import http.client
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.webhooks.running import Running, eventually, write_config

DRAIN_S = 3.0
LONG_S = 60.0


@pytest.fixture(params=[DRAIN_S])
def service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    running = Running(write_config(tmp_path, {"server": {"port": 0, "drain": request.param}}), tmp_path / "log")
    try:
        running.worker()
        yield running
    finally:
        running.stop()


def status(connection: http.client.HTTPConnection, path: str) -> tuple[int, str | None]:
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.getheader("connection")


def test_it_is_not_ready_and_answers_and_keeps_no_connection_open(service: Running) -> None:
    with closing(connected(service)) as kept:
        assert status(kept, "/readyz") == (200, None)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        eventually("it says that it ends", lambda: asked(service, "/readyz")[0] == 503)
        assert asked(service, "/healthz")[0] == 200
        assert status(kept, "/healthz") == (200, "close")
    service.process.wait(30)
    assert service.process.returncode == 0
    assert time.monotonic() - began >= DRAIN_S


@pytest.mark.parametrize("service", [LONG_S], indirect=True)
def test_who_cannot_wait_says_it_twice(service: Running) -> None:
    began = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    eventually("it says that it ends", lambda: asked(service, "/readyz")[0] == 503)
    service.process.send_signal(signal.SIGTERM)
    service.process.wait(30)
    assert service.process.returncode == 0
    assert time.monotonic() - began < LONG_S


def asked(service: Running, path: str) -> tuple[int, str | None]:
    with closing(connected(service)) as connection:
        return status(connection, path)


def connected(service: Running) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
