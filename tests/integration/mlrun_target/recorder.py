"""An MLRun API that keeps what it is sent and gives it back: as much of the protocol as saving a project takes.

It judges nothing and changes nothing, so that what two clients send can be compared.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
# Where a server's own configuration says nothing, its clients' configuration becomes this.
_DEFAULTS: Json = {"default_function_priority_class_name": ""}
_CRON = ("minute", "hour", "day", "month", "day_of_week")
_PATH = re.compile(r"/api/v[12]/(?P<rest>.*)")


class Recorder:
    """`projects` and `functions` (by project, name, tag) are the last bodies; `writes` what came, in order; `reads` counts the rest.

    `hold` keeps the first request that fits a pattern back until its event is set; it is in `held` then.
    """

    def __init__(self, version: str = "1.9.2") -> None:
        self.version = version
        self.projects: dict[str, Json] = {}
        self.functions: dict[tuple[str, str, str], Json] = {}
        self.schedules: dict[tuple[str, str], Json] = {}
        self.writes: list[str] = []
        self.reads = 0
        self.fail: dict[str, tuple[int, int]] = {}
        self.hold: dict[str, threading.Event] = {}
        self.held: list[str] = []
        self._lock = threading.Lock()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                address = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(address.query).items()}
                found = _PATH.fullmatch(address.path)
                recorder._wait(f"{self.command} {found['rest'] if found else ''}")
                with recorder._lock:
                    status, said = recorder._do(
                        self.command, found["rest"] if found else "", query, json.loads(body or b"{}")
                    )
                text = b"" if status == 204 else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _answer  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def forget_writes(self) -> list[str]:
        """Those until now."""
        with self._lock:
            written, self.writes = self.writes, []
            return written

    def _wait(self, request: str) -> None:
        """As on a slow way: it arrives when a test lets it."""
        for pattern in [pattern for pattern in self.hold if re.search(pattern, request)]:
            self.held.append(request)
            self.hold.pop(pattern).wait(30)

    def _do(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if method == "GET":
            self.reads += 1
        else:
            self.writes.append(f"{method} {path}")
        for pattern, (status, left) in list(self.fail.items()):
            if re.search(pattern, f"{method} {path}") and left:
                self.fail[pattern] = (status, left - 1)
                return status, {"detail": {"reason": f"told to answer {status}"}}
        parts = path.split("/")
        match method, parts:
            case "GET", ["healthz"]:
                return 200, {"version": self.version, "status": "ok"}
            case "GET", ["client-spec"]:
                return 200, {"version": self.version, **_DEFAULTS}
            case "GET", ["projects", name]:
                return self._found(self.projects.get(name))
            case "PUT", ["projects", name]:
                self.projects[name] = body
                return 200, body
            case "GET", ["projects", name, "functions"]:
                return 200, {
                    "funcs": [one for (of, _, tag), one in self.functions.items() if (of, tag) == (name, "latest")]
                }
            case "GET", ["projects", name, "functions", function]:
                key = (name, function, query.get("tag") or "latest")
                return self._found(self.functions.get(key), "func")
            case "POST", ["projects", name, "functions", function]:
                self.functions[name, function, query.get("tag") or "latest"] = body
                return 200, {"hash_key": ""}
            case "DELETE", ["projects", name, "functions", function]:
                self.functions = {key: one for key, one in self.functions.items() if key[:2] != (name, function)}
                return 204, None
            case "POST", ["projects", name, "workflows", workflow, "submit"] if body["spec"].get("schedule"):
                fields = dict(zip(_CRON, body["spec"]["schedule"].split(), strict=True))
                labels = {"job-type": "workflow-runner", "workflow": workflow}
                self.schedules[name, workflow] = {"name": workflow, "cron_trigger": fields, "labels": labels}
                return 202, {"project": name, "name": workflow, "status": "scheduled"}
            case "GET", ["projects", name, "schedules"]:
                return 200, {"schedules": [one for (of, _), one in self.schedules.items() if of == name]}
            case "DELETE", ["projects", name, "schedules", schedule]:
                self.schedules.pop((name, schedule), None)
                return 204, None
        return 200 if method != "GET" else 404, {"detail": "unknown"}

    def _found(self, document: Json | None, under: str = "") -> tuple[int, Any]:
        if document is None:
            return 404, {"detail": "not found"}
        return 200, {under: document} if under else document
