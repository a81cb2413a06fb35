"""A place where steps of a run wait until a test lets them go on, so that a test can do something in the middle of a run."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Gate:
    """`GET url/NAME` is answered when NAME is open. `came` counts who came to each, so that what runs twice is seen."""

    def __init__(self) -> None:
        self.came: dict[str, int] = {}
        self._open: set[str] | None = set()
        self._changed = threading.Condition()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                gate._pass(self.path.strip("/"))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def open(self, *names: str) -> None:
        with self._changed:
            if self._open is not None:
                self._open.update(names)
            self._changed.notify_all()

    def _pass(self, name: str) -> None:
        with self._changed:
            self.came[name] = self.came.get(name, 0) + 1
            self._changed.wait_for(lambda: self._open is None or name in self._open)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Whoever still waits goes on."""
        with self._changed:
            self._open = None
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
