"""A body that never comes holds its thread for a while only; a connection that moves is left alone."""

import contextlib
import http.client
import json
import socket
import threading

import pytest

from service.web.idle import close_idle
from tests.integration.webhooks.running import eventually, running, write_config
from tests.integration.webhooks.test_server import CONFIG, head
from tests.unit.receiver.sample import payload

THREADS = 8


def test_stalled_bodies_give_every_thread_back(tmp_path):
    """More of them than there are threads, so that nobody else is answered until they are let go."""
    body = json.dumps(payload("push")).encode()
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(running(write_config(tmp_path, CONFIG), tmp_path / "log", GITOPS_TEST_IDLE_S="1"))
        service.worker()
        stalled = [socket.create_connection(("127.0.0.1", service.port), timeout=30) for _ in range(2 * THREADS)]
        for connection in stalled:
            stack.enter_context(connection)
            connection.sendall(head(f"Content-Length: {len(body)}") + body[:-1])
        for connection in stalled:
            with contextlib.suppress(ConnectionError):
                assert connection.recv(12) in (b"", b"HTTP/1.1 400")
        service.get("/healthz")


def test_a_process_whose_threads_all_wait_says_on_a_port_of_its_own_that_it_lives(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = CONFIG | {"server": {"port": 0, "threads": THREADS, "health_port": port}}
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(running(write_config(tmp_path, config), tmp_path / "log"))
        service.worker()
        assert healthy(port) == (200, b'{"status":"ok"}')
        silent = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        for _ in range(2 * THREADS):
            stalled = stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=30))
            stalled.sendall(head("Content-Length: 10") + b"x")
        eventually("nobody else is answered", lambda: is_silent(service.port))
        assert healthy(port) == (200, b'{"status":"ok"}')
        assert healthy(port, "/api/v1/runs")[0] == 404
        silent.close()


def healthy(port, path="/healthz"):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


def is_silent(port):
    try:
        healthy_within(port, 1.0)
    except TimeoutError:
        return True
    return False


def healthy_within(port, seconds):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)) as connection:
        connection.request("GET", "/healthz")
        connection.getresponse().read()


@pytest.fixture
def pair():
    """Our end of a connection, and a stranger's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stranger = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
        with stranger, ours:
            yield ours, stranger, server.getsockname()[1]


def test_a_silent_connection_reads_its_end(pair):
    ours, _, port = pair
    ends = []
    reader = threading.Thread(target=lambda: ends.append(ours.recv(1)))
    reader.start()
    eventually("it is idle", lambda: close_idle(port, 0.2))
    reader.join()
    assert ends == [b""]


def test_a_connection_that_moves_stays(pair):
    ours, stranger, port = pair
    stranger.sendall(b"x")
    assert close_idle(port, 30.0) == 0
    assert ours.recv(1) == b"x"


def test_connections_of_others_are_not_ours(pair):
    ours, stranger, port = pair
    eventually("it would be idle", lambda: close_idle(port + 1, 0.0) == 0)
    stranger.sendall(b"x")
    assert ours.recv(1) == b"x"
