"""Somebody who listens to the `webhook` handler, and believes only what is signed.

Verification is Standard Webhooks' own library: the handler is checked by what its users would use.
"""

from __future__ import annotations

import secrets
import threading
from base64 import b64encode
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from service import limits

_BODY_BYTES = limits.MIB


class Listener:
    """`heard` are the verified messages in the order they came; `forged` counts those whose signature was wrong."""

    def __init__(self, secret_file: Path) -> None:
        self._secret = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
        secret_file.touch(mode=0o600)
        secret_file.write_text(self._secret)
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.listener = self
        self._lock = threading.Lock()
        self._heard: dict[str, dict[str, Any]] = {}
        self.forged = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/gitops"

    @property
    def heard(self) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._heard.values())

    def start(self) -> None:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def take(self, body: bytes, headers: dict[str, str]) -> HTTPStatus:
        try:
            document = Webhook(self._secret).verify(body, headers)
        except WebhookVerificationError:
            with self._lock:
                self.forged += 1
            return HTTPStatus.UNAUTHORIZED
        with self._lock:
            self._heard[headers["webhook-id"]] = document["data"]  # one that comes again is the same message
        return HTTPStatus.NO_CONTENT


class _Http(ThreadingHTTPServer):
    listener: Listener
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """The service was stopped while it sent."""


class _Handler(BaseHTTPRequestHandler):
    server: _Http

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers["content-length"] or 0), _BODY_BYTES))
        self.send_response(self.server.listener.take(body, {key.lower(): value for key, value in self.headers.items()}))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""
