"""Between a client and the API server: passes everything on, counts it, and spoils what a test names."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import httpx

from tests.peers.kubernetes import Cluster
from tests.peers.kubernetes.api import client_context

# A status, headers and a body to answer with; None: pass it on.
Answer = tuple[int, dict[str, str], bytes] | None
_HOP = ("host", "content-length", "transfer-encoding", "connection", "date", "accept-encoding")


class Meddler:
    """`spoil` gets method and path (with the query); `count` has how often each kind of request was made."""

    def __init__(self, cluster: Cluster) -> None:
        self.spoil: Callable[[str, str], Answer] = lambda _method, _path: None
        self.count: Counter[str] = Counter()
        self.deaf = False  # what watches and logs say is not passed on
        self._streams: set[socket.socket] = set()
        self._asked: set[socket.socket] = set()  # connections to the API server that a thread reads from
        self._lock = threading.Condition()
        meddler = self
        client = httpx.Client(
            base_url=cluster.server,
            verify=client_context(cluster.authority.certificate, None),
            trust_env=False,
            timeout=60,
            limits=httpx.Limits(max_connections=None),
        )

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def pass_on(self) -> None:
                meddler._pass_on(self, client)

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = pass_on  # noqa: N815

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """Whoever asked is gone."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._client = client

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._server.shutdown()
        self._server.server_close()
        # What a thread still reads from may not be closed: its number would soon be another connection's, and be read from.
        with self._lock:
            for connection in self._asked:
                _shut(connection)
            assert self._lock.wait_for(lambda: not self._asked, timeout=30), "a thread still reads from the API server"
        self._client.close()

    def kubeconfig(self, path: Path, token: str, namespace: str) -> Path:
        url = f"http://127.0.0.1:{self._server.server_port}"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "clusters": [{"name": "x", "cluster": {"server": url}}],
            "users": [{"name": "x", "user": {"token": token}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x", "namespace": namespace}}],
        }
        path.write_text(json.dumps(document))
        return path

    def cut(self) -> None:
        """All watches and all logs that are followed, in the middle."""
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            _shut(stream)

    def _pass_on(self, asked: http.server.BaseHTTPRequestHandler, client: httpx.Client) -> None:
        body = asked.rfile.read(int(asked.headers.get("Content-Length") or 0))
        kind = asked.path.partition("?")[0].split("/")
        self.count[f"{asked.command} {'watch' if 'watch=' in asked.path else kind[-1]}"] += 1
        spoiled = self.spoil(asked.command, asked.path)
        if spoiled is not None:
            status, headers, answer = spoiled
            self._begin(asked, status, {**headers, "Content-Length": str(len(answer))})
            asked.wfile.write(answer)
            return
        headers = {key: value for key, value in asked.headers.items() if key.lower() not in _HOP}
        goes_on = "watch=" in asked.path or "follow=true" in asked.path
        try:
            with (
                client.stream(
                    asked.command, asked.path, content=body, headers=headers, timeout=None if goes_on else 60
                ) as response,
                self._read_from(response),
            ):
                self._stream(asked, response, goes_on=goes_on)
        except (httpx.HTTPError, OSError):
            asked.close_connection = True

    @contextmanager
    def _read_from(self, response: httpx.Response) -> Iterator[None]:
        connection = response.extensions["network_stream"].get_extra_info("socket")
        with self._lock:
            self._asked.add(connection)
        try:
            yield
        finally:
            response.close()
            with self._lock:
                self._asked.discard(connection)
                self._lock.notify_all()

    def _stream(self, asked: http.server.BaseHTTPRequestHandler, response: httpx.Response, *, goes_on: bool) -> None:
        headers = {key: value for key, value in response.headers.items() if key.lower() not in _HOP}
        self._begin(asked, response.status_code, {**headers, "Transfer-Encoding": "chunked"})
        if goes_on:
            with self._lock:
                self._streams.add(asked.connection)
        try:
            for piece in response.iter_raw():
                if piece and not (goes_on and self.deaf):
                    asked.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    asked.wfile.flush()
            if goes_on and self.deaf:
                asked.connection.recv(1)  # nor that it has ended
            asked.wfile.write(b"0\r\n\r\n")
        finally:
            with self._lock:
                self._streams.discard(asked.connection)

    @staticmethod
    def _begin(asked: http.server.BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        asked.send_response(status)
        for key, value in headers.items():
            asked.send_header(key, value)
        asked.end_headers()


def _shut(connection: socket.socket) -> None:
    """Ends the reads of all threads, also of those within TLS, and leaves the descriptor to who has it."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
