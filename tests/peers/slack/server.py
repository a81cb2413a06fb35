"""The stand-in on loopback: HTTP as Slack speaks it, in front of a workspace; made wrong by faults."""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message as Headers
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.peers.slack import methods, rules, webhooks
from tests.peers.slack.faults import WEBHOOK, Fault, Faults
from tests.peers.slack.workspace import SCOPES, Channel, Message, Refusal, Refused, Workspace


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `method` is a method's name or `webhook`; `status` 0: no answer was given. `took` is its own time."""

    method: str
    arguments: Any
    status: int
    answer: str
    at: float


class SlackPeer:
    """One workspace with one app in it: its bot token, and as many incoming webhooks as a test makes.

    `paced` false gives up rate limits, for tests that are about something else. `mentions` lets messages call people.
    """

    def __init__(
        self,
        *,
        channels: tuple[str, ...] = ("#ml",),
        scopes: tuple[str, ...] = SCOPES,
        paced: bool = True,
        mentions: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.token = f"xoxb-{secrets.token_hex(8)}"
        self.workspace = Workspace(token=self.token, scopes=scopes, paced=paced, mentions=mentions, clock=clock)
        self.faults = Faults()
        self.calls: list[Call] = []
        self.bugs: list[Exception] = []
        for name in channels:
            self.workspace.add_channel(name)
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.api_url = f"{self.url}/api/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.faults.release()
        self._server.shutdown()
        self._server.server_close()
        if self.bugs:
            raise ExceptionGroup("the stand-in for Slack has bugs", self.bugs)

    # --- what tests ask ------------------------------------------------------------------------------------------

    def channel(self, name: str = "#ml") -> Channel:
        return self.workspace.channel(name)

    def messages(self, name: str = "#ml") -> list[Message]:
        return self.channel(name).messages

    @property
    def refused(self) -> list[Refusal]:
        """Every call that broke a rule; faults are no rules."""
        return self.workspace.refused

    def webhook(self, name: str = "#ml") -> str:
        """The address of a new incoming webhook into a channel."""
        path = f"/services/{secrets.token_hex(5).upper()}/{secrets.token_hex(5).upper()}/{secrets.token_hex(12)}"
        self.workspace.hooks[path] = self.channel(name).id
        return self.url + path

    def spoil_webhook(self, url: str, answer: str) -> None:
        """From now on this webhook answers so (`no_service`, `action_prohibited`, ...)."""
        self.workspace.hook_trouble[url.removeprefix(self.url)] = answer

    # --- what the server asks ------------------------------------------------------------------------------------

    def answer(self, verb: str, path: str, query: str, headers: Headers, body: bytes) -> Answer:
        if path.startswith("/services/"):
            return self._webhook(verb, path, headers, body)
        name = path.removeprefix("/api/")
        if not path.startswith("/api/") or name not in rules.METHODS:
            return self._refuse(name, {}, Refused("unknown_method", f"{verb} {path}"), [])
        warnings: list[str] = []
        raw: dict[str, Any] = {}
        try:
            raw, form = _read(verb, name, query, headers, body, warnings)
            self._authorize(headers, raw, query, form=form)
            answered = methods.call(self.workspace, name, raw, form=form)
        except Refused as refused:
            return self._refuse(name, raw, refused, warnings)
        warnings += answered.pop("warnings", [])
        self._record(name, raw, 200, "ok")
        return _json(200, {"ok": True, **answered}, warnings)

    def _refuse(self, name: str, raw: Mapping[str, Any], refused: Refused, warnings: list[str]) -> Answer:
        self.workspace.refused.append(Refusal(name, refused.answer, refused.words))
        wait = refused.more.pop("wait", None)
        self._record(name, raw, 429 if wait else 200, refused.answer)
        document: dict[str, Any] = {"ok": False, "error": refused.answer, **refused.more}
        if refused.answer == "unknown_method":
            document["req_method"] = name
        if refused.words and not wait:
            document["response_metadata"] = {"messages": [f"[ERROR] {words}" for words in refused.words]}
            if refused.answer in ("invalid_blocks", "invalid_attachments"):
                document["errors"] = list(refused.words)
        return _json(429 if wait else 200, document, warnings, {"retry-after": str(wait)} if wait else {})

    def _authorize(self, headers: Headers, raw: dict[str, Any], query: str, *, form: bool) -> None:
        given = headers.get("authorization", "")
        if "token" in urllib.parse.parse_qs(query):
            raise Refused("invalid_auth", "a token in the query")
        token = given.removeprefix("Bearer ") if given.startswith("Bearer ") else None
        in_body = raw.pop("token", None)
        if token is None and form:
            token = in_body
        if not token:
            raise Refused("not_authed", "JSON needs the token in the Authorization header" if in_body else "no token")
        if token != self.workspace.token:
            raise Refused("invalid_auth")
        if self.workspace.revoked:
            raise Refused(self.workspace.revoked)

    def _webhook(self, verb: str, path: str, headers: Headers, body: bytes) -> Answer:
        payload: Any = None
        try:
            if verb != "POST":
                raise Refused("invalid_payload", f"{verb}: POST it")
            payload = _payload(headers, body)
            webhooks.take(self.workspace, path, payload)
        except Refused as refused:
            self.workspace.refused.append(Refusal(WEBHOOK, refused.answer, refused.words))
            wait = refused.more.get("wait")
            return self._plain(refused.answer, payload, {"retry-after": str(wait)} if wait else {})
        return self._plain("ok", payload, {})

    def _plain(self, word: str, payload: Any, headers: Mapping[str, str]) -> Answer:
        status = rules.WEBHOOK_ANSWERS[word].status
        self._record(WEBHOOK, payload, status, word)
        return Answer(status, word.encode(), {"content-type": "text/html", **headers})

    def _record(self, name: str, arguments: Any, status: int, answer: str) -> None:
        with self.workspace.lock:
            self.calls.append(Call(name, arguments, status, answer, time.monotonic()))

    def spoiled(self, name: str, fault: Fault) -> Answer | None:
        """The answer that a fault gives instead; None where it gives none."""
        match fault.kind:
            case "too_many":
                self._record(name, None, 429, "ratelimited")
                document = {"ok": False, "error": "ratelimited"}
                return _json(429, document, [], {"retry-after": fault.retry_after})
            case "refuse" if name == WEBHOOK:
                return self._plain(fault.code, None, {})
            case "refuse":
                self._record(name, None, 200, fault.code)
                return _json(200, {"ok": False, "error": fault.code}, [])
            case "status":
                self._record(name, None, fault.status, "")
                page = b"<html><body><h1>Something went wrong</h1></body></html>"
                wait = {"retry-after": fault.retry_after} if fault.retry_after else {}
                return Answer(fault.status, page, {"content-type": "text/html", **wait})
            case _:
                self._record(name, None, 0, fault.kind)
                return None


def _read(
    verb: str, name: str, query: str, headers: Headers, body: bytes, warnings: list[str]
) -> tuple[dict[str, Any], bool]:
    """The arguments, and whether they are a form's strings. Raises Refused."""
    method = rules.METHODS[name]
    if verb not in method.verbs:
        raise Refused("unknown_method", f"{name} takes {' and '.join(method.verbs)}")
    if len(body) > rules.LIMITS["bytes of a request"].most:
        raise Refused(rules.LIMITS["bytes of a request"].answer, f"{len(body)} bytes")
    of_query = _form(query)
    if not body:
        return of_query, True
    kind = headers.get_content_type() if headers.get("content-type") else ""
    charset = headers.get_content_charset()
    if not kind:
        raise Refused("missing_post_type")
    if charset not in (None, "utf-8", "iso-8859-1"):
        raise Refused("invalid_charset", str(charset))
    if kind == "application/x-www-form-urlencoded":
        if charset:
            warnings.append("superfluous_charset")
        return {**of_query, **_form(body.decode("latin-1"))}, True
    if kind != "application/json":
        raise Refused("invalid_post_type", kind)
    if charset is None:
        warnings.append("missing_charset")
    if of_query:
        raise Refused("invalid_arguments", "a query beside a JSON body")
    try:
        read = json.loads(body.decode(charset or "utf-8"))
    except ValueError:
        raise Refused("invalid_json") from None
    if not isinstance(read, dict):
        raise Refused("json_not_object")
    return read, False


def _form(text: str) -> dict[str, str]:
    try:
        pairs = urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    except ValueError:
        raise Refused("invalid_form_data") from None
    if len(pairs) != len(dict(pairs)):
        raise Refused("invalid_arguments", "an argument twice")
    return dict(pairs)


def _payload(headers: Headers, body: bytes) -> Any:
    """A webhook's: JSON, or a form with JSON in `payload`."""
    if len(body) > rules.LIMITS["bytes of a request"].most:
        raise Refused("invalid_payload", f"{len(body)} bytes")
    kind = headers.get_content_type() if headers.get("content-type") else ""
    try:
        if kind == "application/x-www-form-urlencoded":
            return json.loads(_form(body.decode("latin-1")).get("payload", ""))
        if kind != "application/json":
            raise Refused("invalid_payload", f"content type {kind or 'missing'}")
        return json.loads(body.decode("utf-8"))
    except ValueError:
        raise Refused("invalid_payload", "no JSON") from None


def _json(status: int, document: dict[str, Any], warnings: list[str], headers: Mapping[str, str] = {}) -> Answer:
    if warnings:
        document["warning"] = ",".join(warnings)
        document.setdefault("response_metadata", {})["warnings"] = warnings
    body = json.dumps(document).encode()
    return Answer(status, body, {"content-type": "application/json; charset=utf-8", **headers})


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, peer: SlackPeer) -> None:
        self.peer = peer
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: object) -> None:
        """A client that went away is no news; anything else is a bug of the stand-in, told when it is left."""
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self.peer.bugs.append(error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 30

    def _serve(self) -> None:
        announced = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(announced)
        if len(body) < announced:
            self.close_connection = True
            return None  # the sender was killed while it sent
        path, _, query = self.path.partition("?")
        peer = self.server.peer
        name = WEBHOOK if path.startswith("/services/") else path.removeprefix("/api/")
        fault = peer.faults.next(name)
        if fault is None:
            return self._send(peer.answer(self.command, path, query, self.headers, body))
        taken = peer.answer(self.command, path, query, self.headers, body) if fault.taken else None
        if fault.kind == "dribble" and taken is not None:
            return self._dribble(taken)
        spoiled = peer.spoiled(name, fault)
        if spoiled is not None:
            return self._send(spoiled)
        if fault.kind == "hang":
            peer.faults.released.wait()
        self.close_connection = True
        return None

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _dribble(self, answer: Answer) -> None:
        self.close_connection = True
        self.send_response(answer.status)
        self.send_header("content-type", answer.headers["content-type"])
        self.send_header("content-length", str(1_000_000))
        self.end_headers()
        while not self.server.peer.faults.released.wait(0.05):
            self.wfile.write(b" ")
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


for _verb in ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"):
    setattr(_Handler, f"do_{_verb}", _Handler._serve)
