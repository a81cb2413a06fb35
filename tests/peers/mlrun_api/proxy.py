"""Between a client and the MLRun API: passes everything on, and remembers what was asked."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

import httpx

# Of one connection, not of what is passed on; and the length, which is the proxy's own to say.
_OWN = frozenset({"host", "connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"})


class Proxy:
    """`asked` is each request as `METHOD /path`, in the order in which they came."""

    def __init__(self, target: str) -> None:
        self.asked: list[str] = []
        self._http = httpx.Client(base_url=target, trust_env=False, timeout=120)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _pass_on(self) -> None:
                proxy.asked.append(f"{self.command} {urlsplit(self.path).path}")
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {key: value for key, value in self.headers.items() if key.lower() not in _OWN}
                answer = proxy._http.request(self.command, self.path, content=body, headers=headers)
                self.send_response(answer.status_code)
                for key, value in answer.headers.multi_items():
                    if key.lower() not in _OWN:
                        self.send_header(key, value)
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _pass_on  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def writes(self) -> list[str]:
        """What was not only read."""
        return [one for one in list(self.asked) if not one.startswith("GET ")]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._http.close()
