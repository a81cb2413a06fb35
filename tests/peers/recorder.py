"""Somebody who listens to the `webhook` handler: verifies each message with Standard Webhooks' own library and keeps it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from standardwebhooks import Webhook

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"


class Recorder:
    """`received` maps a message's id to its data; `times` counts how often each came. `fail_every` n answers each n-th 503."""

    def __init__(self, fail_every: int = 0) -> None:
        self.received: dict[str, Any] = {}
        self.times: dict[str, int] = {}
        self.fail_every = fail_every
        self._count = 0
        self._lock = threading.Lock()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                announced = int(self.headers["content-length"])
                body = self.rfile.read(announced)
                if len(body) < announced:
                    return  # the sender was killed while it sent
                status = recorder._take(body, {key.lower(): value for key, value in self.headers.items()})
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def settings(self) -> dict[str, Any]:
        """A handler for config.yaml."""
        return {"kind": "webhook", "url": self.url, "secret": SECRET, "allow_private": True}

    def events(self) -> list[str]:
        return [message["event"] for message in self.received.values()]

    def _take(self, body: bytes, headers: dict[str, str]) -> int:
        document = Webhook(SECRET).verify(body, headers)
        with self._lock:
            self._count += 1
            if self.fail_every and self._count % self.fail_every == 0:
                return 503
            id_ = headers["webhook-id"]
            self.received[id_] = document["data"]
            self.times[id_] = self.times.get(id_, 0) + 1
        return 204

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
