"""HTTP on loopback: finds a request's rule, holds request and answer against it, records both; under /stand-in it is told things.

The port is written to stdout in a line of JSON. What a credential has to be comes in MLRUN_STAND_IN_AUTH, as JSON.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import re
import sys
import threading
import time
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import mlrun
import mlrun.common.schemas
import mlrun.utils.version
import pydantic.v1
from mlrun.errors import err_to_str

from tests.peers.mlrun_stand_in.program import faults, runs
from tests.peers.mlrun_stand_in.program.rules import RULES, Rule
from tests.peers.mlrun_stand_in.program.server import CLIENT_PYTHON, CLIENT_VERSION
from tests.peers.mlrun_stand_in.program.state import Call, Raw, Refused, State, copied

_LOCK = threading.RLock()
_VERSION = mlrun.utils.version.Version().get()["version"]
_NUMBER = tuple(int(part) for part in _VERSION.split(".")[:2])
_OURS = [
    (rule, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", f"/api/{rule.api}{rule.path}/?")))
    for rule in RULES
    if rule.since <= _NUMBER < rule.until
]


class World:
    """All that a test may look at, and change."""

    def __init__(self) -> None:
        self.state = State(_VERSION)
        self.requests: list[dict[str, Any]] = []
        self.faults: list[faults.Fault] = []
        self.auth: dict[str, str] = json.loads(os.environ.get("MLRUN_STAND_IN_AUTH") or "{}")


WORLD = World()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Its own answer leaves in one piece.
    wbufsize = -1

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        if parts.path.startswith("/stand-in/"):
            self._answer(200, _told(self.command, parts.path, json.loads(body or b"null")))
            return
        with _LOCK:
            fault = next((one for one in WORLD.faults if one.fits(self.command, parts.path)), None)
        if fault is not None and fault.delay_s:
            time.sleep(fault.delay_s)
        instead = fault is not None and (fault.status or fault.drop)
        record: dict[str, Any] = {
            "method": self.command,
            "path": unquote(parts.path),
            "query": parse_qs(parts.query, True),
        }
        record.update(
            headers={key.lower(): value for key, value in self.headers.items()}, body=body.decode("utf-8", "replace")
        )
        if not instead or (fault is not None and fault.after):
            status, document = _done(self.command, parts.path, record, body)
            record.update(status=status, answer=None if isinstance(document, Raw) else document)
        if fault is not None and instead:
            record["status"] = fault.status
        with _LOCK:
            WORLD.requests.append(record)
        if fault is None or not instead:
            self._answer(status, document)
        elif fault.drop:
            self.close_connection = True
        else:
            faults.send(self, fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - http.server's names

    def _answer(self, status: int, document: Any) -> None:
        raw = (
            document
            if isinstance(document, Raw)
            else Raw(json.dumps(document).encode(), {"content-type": "application/json"})
        )
        self.send_response(status)
        for key, value in {**raw.headers, "x-mlrun-be-version": _VERSION}.items():
            self.send_header(key, value)
        if status != 204:
            self.send_header("content-length", str(len(raw.body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(raw.body)

    def log_message(self, *_: Any) -> None:
        pass


def _done(method: str, path: str, record: dict[str, Any], body: bytes) -> tuple[int, Any]:
    """What the rule of a request makes of it. What goes wrong is an answer, as FastAPI's handlers make one of it."""
    try:
        with _LOCK:
            rule, call = _allowed(method, path, record, body)
            record["rule"] = rule.what
            module, name = rule.here.split(".")
            handler = getattr(importlib.import_module(f"{__package__}.{module}"), name)
            document = handler(WORLD.state, call)
            return rule.status, document if isinstance(document, Raw) else _held(rule, document)
    except Refused as refused:
        return refused.status, {"detail": refused.detail}
    except pydantic.v1.ValidationError as error:
        return 422, {"detail": json.loads(error.json())}
    except mlrun.errors.MLRunBaseError as error:
        status = getattr(type(error), "error_status_code", 500)
        return int(status), {"detail": repr(error)}
    except Exception as error:  # noqa: BLE001 - as the real server's last handler: whatever it is, it is a 500
        return 500, {"detail": f"{type(error).__name__}({err_to_str(error)!r})"}


def _allowed(method: str, path: str, record: dict[str, Any], body: bytes) -> tuple[Rule, Call]:
    """The request as its rule has it."""
    found = [(rule, match) for rule, pattern in _OURS if (match := pattern.fullmatch(path))]
    if not found:
        raise Refused(404, "Not Found")
    rule, match = next(((rule, match) for rule, match in found if rule.method == method), (None, None))
    if rule is None or match is None:
        raise Refused(405, "Method Not Allowed")
    headers, query = record["headers"], record["query"]
    if not rule.open:
        _admit(headers)
    if rule.what != "is well" and not {CLIENT_VERSION, CLIENT_PYTHON} <= headers.keys():
        raise Refused(400, "the stand-in wants the headers of MLRun's client")
    strangers = sorted(query.keys() - set(rule.query))
    if strangers:
        raise Refused(
            422,
            [{"loc": ["query", name], "msg": "is a parameter that the stand-in does not know"} for name in strangers],
        )
    call = Call({key: unquote(value) for key, value in match.groupdict().items()}, query, headers)
    call.body = _body(rule, body, record)
    return rule, call


def _body(rule: Rule, body: bytes, record: dict[str, Any]) -> Any:
    if not rule.takes:
        if rule.here == "runs.store_log":
            return body
        if not rule.body:
            return None
    try:
        document = json.loads(body)
    except ValueError:
        raise Refused(422 if rule.takes else 400, {"reason": "bad JSON body"}) from None
    if not rule.takes:
        if not isinstance(document, dict):
            raise Refused(400, {"reason": "bad JSON body"})
        return document
    model = getattr(mlrun.common.schemas, rule.takes)
    parsed = model.parse_obj(document)
    record["dropped"] = sorted(_dropped(document, json.loads(parsed.json())))
    return parsed


def _dropped(given: Any, kept: Any, path: str = "") -> Any:
    """Keys of a body that its schema does not keep."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key not in kept:
                yield f"{path}{key}"
            else:
                yield from _dropped(value, kept[key], f"{path}{key}.")


def _held(rule: Rule, document: Any) -> Any:
    """The answer as its schema has it; one that does not fit is a mistake of the stand-in and says so."""
    if not rule.gives:
        return copied(document)
    return json.loads(getattr(mlrun.common.schemas, rule.gives).parse_obj(document).json(by_alias=True))


def _admit(headers: dict[str, str]) -> None:
    """sdk: api_call. A session is a cookie, `j:{"sid": key}`."""
    auth = WORLD.auth
    given = headers.get("authorization", "")
    if auth.get("kind") == "token" and given != f"Bearer {auth['token']}":
        raise Refused(401, "MLRunUnauthorizedError('Invalid token')")
    if auth.get("kind") == "basic":
        wanted = base64.b64encode(f"{auth['username']}:{auth['access_key']}".encode()).decode()
        if given != f"Basic {wanted}":
            raise Refused(401, "MLRunUnauthorizedError('Username or access key is wrong')")
    if auth.get("kind") == "session" and _session(headers.get("cookie", "")) != auth["access_key"]:
        raise Refused(401, "MLRunUnauthorizedError('Session is not known')")


def _session(cookies: str) -> str | None:
    found = re.search(r'(?:^|;\s*)session=j:(\{"sid": "[^"]*"\})', cookies)
    return str(json.loads(found[1])["sid"]) if found else None


def _told(method: str, path: str, document: Any) -> Any:
    with _LOCK:
        what = path.rsplit("/", 1)[1]
        if what == "requests":
            shown = list(WORLD.requests)
            if method == "DELETE":
                WORLD.requests.clear()
            return shown
        if what == "faults":
            if method == "POST":
                WORLD.faults.append(faults.Fault(**document))
            elif method == "DELETE":
                WORLD.faults.clear()
            return [asdict(one) for one in WORLD.faults]
        if what == "auth":
            WORLD.auth = document
        if what == "reset":
            WORLD.state, WORLD.requests, WORLD.faults, WORLD.auth = State(_VERSION), [], [], {}
        if what == "task":
            WORLD.state.failing_task = document["error"]
        if what == "builder":
            WORLD.state.builder = document
        if what == "run":
            key = (document["project"], document["uid"])
            runs.change(WORLD.state.runs[(*key, 0)], document["updates"])
            WORLD.state.logs[key] = WORLD.state.logs.get(key, b"") + document["log"].encode()
        return {}


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
    server.daemon_threads = True
    print(json.dumps({"port": server.server_address[1], "version": _VERSION}), flush=True)
    server.serve_forever(0.05)
