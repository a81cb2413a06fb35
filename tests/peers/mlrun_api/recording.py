"""Between a client and an MLRun API: what was asked, and with which credential. Everything is handed on, and the answers come back.

with Recording(mlrun.url) as between:
    ...  # a client of between.url
between.asked == [Asked("GET", "/api/v1/client-spec", ...)]
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

import httpx

from tests.peers.kubernetes.pki import Identity

Answer = tuple[int, bytes]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str  # without its query
    authorization: str
    cookie: str
    body: bytes = field(repr=False)


class Recording:
    """`instead` may answer a request itself. With an `identity` it speaks TLS."""

    def __init__(
        self, url: str, instead: Callable[[Asked], Answer | None] = lambda _: None, identity: Identity | None = None
    ) -> None:
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=60)
        recording = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, content, kind = recording._answer(self, instead)
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def __getattr__(self, name: str) -> object:
                if name.startswith("do_"):
                    return self.do_GET
                raise AttributeError(name)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if identity is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(identity.certificate, identity.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def written(self) -> list[str]:
        """What was asked for that changes something."""
        return [f"{asked.method} {asked.path}" for asked in self.asked if asked.method != "GET"]

    def _answer(
        self, request: BaseHTTPRequestHandler, instead: Callable[[Asked], Answer | None]
    ) -> tuple[int, bytes, str]:
        body = request.rfile.read(int(request.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = urlsplit(request.path).path
        asked = Asked(request.command, path, headers.get("authorization", ""), headers.get("cookie", ""), body)
        with self._lock:
            self.asked.append(asked)
        if (answer := instead(asked)) is not None:
            return *answer, "application/json"
        own = ("host", "content-length", "connection", "accept-encoding")
        given = {name: value for name, value in headers.items() if name not in own}
        answered = self._client.request(request.command, request.path, content=body, headers=given)
        return answered.status_code, answered.content, answered.headers.get("content-type", "text/plain")

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._client.close()
