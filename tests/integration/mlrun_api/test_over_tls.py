"""An MLRun API behind TLS whose authority is nobody's but the operator's."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from service.errors import MlrunAway, MlrunRefused
from tests.integration.mlrun_api.speaking import speak_to
from tests.peers.kubernetes.pki import Authority


class _Healthy(BaseHTTPRequestHandler):
    asked_for_a_project: ClassVar = threading.Event()

    def do_GET(self) -> None:
        if "/projects/" in self.path:  # no answer to these
            self.asked_for_a_project.set()
            self.connection.recv(1)
            return
        body = json.dumps({"version": "1.9.2", "status": "ok"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture
def url(authority: Authority) -> Iterator[str]:
    identity = authority.issue("mlrun", "mlrun-api", hosts=("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Healthy)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_its_authority_is_trusted_where_settings_say_so(url: str, authority: Authority) -> None:
    api = speak_to(url, ca_bundle=str(authority.certificate))
    assert api.server().version == "1.9.2"
    api.close()


def test_a_call_that_waits_ends_when_another_thread_closes_the_connection(url: str, authority: Authority) -> None:
    """And before the number of its descriptor is another connection's, from which it would read on."""
    api = speak_to(url, ca_bundle=str(authority.certificate))
    api.server()
    _Healthy.asked_for_a_project.clear()
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        waiting = pool.submit(api.project, "fraud")
        assert _Healthy.asked_for_a_project.wait(30)
        api.close()
        pairs = [[stack.enter_context(end) for end in socket.socketpair()] for _ in range(20)]
        for _, there in pairs:
            there.sendall(b"for us")
        assert isinstance(waiting.exception(30), MlrunAway)
        assert [here.recv(100) for here, _ in pairs] == [b"for us"] * len(pairs)
        for here, there in pairs:
            here.close()
            assert there.recv(100) == b""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_it_is_not_trusted_else_and_was_sent_nothing(url: str) -> None:
    api = speak_to(url)
    with pytest.raises(MlrunAway, match="certificate verify failed") as away:
        api.server()
    assert not away.value.sent
    api.close()


def test_a_bundle_that_is_none_is_named(url: str, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    for text in (None, "no certificate"):
        if text:
            nothing.write_text(text)
        with pytest.raises(MlrunRefused, match=f"mlrun.ca_bundle {nothing} holds no certificates"):
            speak_to(url, ca_bundle=str(nothing)).server()
