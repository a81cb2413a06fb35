"""The webhook handler against a real HTTP server, verified by the Standard Webhooks library as a receiver would."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import email.utils
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from handlers import Message, Rejected, Undelivered, Webhook

SECRET = "whsec_" + base64.b64encode(b"canary-of-32-bytes-0123456789abc").decode()
PATH = "/canary-path-5f2e"
MESSAGE = Message(
    id="01arz3",
    key="run.failed/1",
    event="run.failed",
    severity="error",
    at="2026-01-02T03:04:05Z",
    title="main of fraud failed – no rows",
    project="fraud",
    run={"id": "01r", "state": "failed"},
)


class Receiver(http.server.ThreadingHTTPServer):
    """Answers as it is told, and keeps what it got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 204
        self.headers: dict[str, str] = {}
        self.hold = threading.Event()
        self.hold.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{PATH}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        self.server.hold.wait(30)
        try:
            self.send_response(self.server.status)
            for name, value in self.server.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.hold.set()
        server.shutdown()
        thread.join()


def handler(receiver: Receiver, **also: Any) -> Webhook:
    return Webhook({"url": receiver.url, "secret": SECRET, "allow_private": True, **also})


def test_a_receiver_can_verify_what_it_gets(receiver: Receiver) -> None:
    handler(receiver).send(MESSAGE)
    [(path, headers, body)] = receiver.got
    assert path == PATH
    assert headers["webhook-id"] == MESSAGE.id
    assert headers["host"] == f"127.0.0.1:{receiver.server_port}"
    payload = Verifier(SECRET).verify(body, headers)
    assert (payload["type"], payload["timestamp"]) == ("run.failed", MESSAGE.at)
    assert payload["data"]["title"] == MESSAGE.title
    assert payload["data"]["run"] == {"id": "01r", "state": "failed"}


def test_a_changed_body_or_another_secret_is_noticed(receiver: Receiver) -> None:
    handler(receiver).send(MESSAGE)
    [(_, headers, body)] = receiver.got
    other = "whsec_" + base64.b64encode(b"another-of-32-bytes-0123456789ab").decode()
    for secret, text in ((SECRET, body + b" "), (other, body)):
        with pytest.raises(WebhookVerificationError):
            Verifier(secret).verify(text, headers)


def test_every_attempt_has_the_same_id(receiver: Receiver) -> None:
    sender = handler(receiver)
    sender.send(MESSAGE)
    sender.send(MESSAGE)
    assert [headers["webhook-id"] for _, headers, _ in receiver.got] == [MESSAGE.id] * 2


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(receiver: Receiver, status: int) -> None:
    receiver.status = status
    with pytest.raises(Undelivered, match=str(status)):
        handler(receiver).send(MESSAGE)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 410, 413, 422])
def test_what_stays_is_not(receiver: Receiver, status: int) -> None:
    receiver.status = status
    receiver.headers = {"location": f"http://127.0.0.1:{receiver.server_port}/elsewhere"}
    with pytest.raises(Rejected, match=str(status)):
        handler(receiver).send(MESSAGE)
    assert [path for path, _, _ in receiver.got] == [PATH]


def test_half_a_character_is_replaced_and_the_rest_arrives_signed(receiver: Receiver) -> None:
    handler(receiver).send(dataclasses.replace(MESSAGE, title="half: \ud800"))
    [(_, headers, body)] = receiver.got
    assert Verifier(SECRET).verify(body, headers)["data"]["title"] == "half: ?"


def test_patience_that_is_asked_for_is_told(receiver: Receiver) -> None:
    receiver.status = 429
    in_an_hour = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    for value, low, high in (
        ("17", 17, 17),
        (email.utils.format_datetime(in_an_hour, usegmt=True), 3500, 3600),
        ("999999999", 86400, 86400),
        ("-5", None, None),
        ("soon", None, None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999", None, None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None, None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
    ):
        receiver.headers = {"retry-after": value}
        with pytest.raises(Undelivered) as caught:
            handler(receiver).send(MESSAGE)
        if low is None or high is None:
            assert caught.value.retry_after is None
        else:
            assert caught.value.retry_after is not None
            assert low <= caught.value.retry_after <= high


def test_a_receiver_that_does_not_answer_is_given_up_in_time(receiver: Receiver) -> None:
    receiver.hold.clear()
    with pytest.raises(Undelivered, match="did not answer within"):
        handler(receiver, timeout=0.2).send(MESSAGE)


def test_a_receiver_that_dribbles_is_given_up_in_time() -> None:
    """A byte now and then keeps every read within its timeout; the whole has one too."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stop = threading.Event()

        def dribble() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while not stop.wait(0.05):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=dribble)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with pytest.raises(Undelivered, match="did not answer within"):
            Webhook({"url": url, "secret": SECRET, "allow_private": True, "timeout": 0.5}).send(MESSAGE)
        stop.set()
        thread.join()


def test_a_huge_answer_is_not_read_to_its_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sent = []

        def flood() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                try:
                    for _ in range(4096):
                        connection.sendall(b"x" * 65536)
                        sent.append(1)
                except OSError:
                    return

        thread = threading.Thread(target=flood)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        Webhook({"url": url, "secret": SECRET, "allow_private": True}).send(MESSAGE)
        thread.join()
        assert len(sent) < 1000


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "192.168.1.1", "169.254.169.254", "[fe80::1]", "[::ffff:127.0.0.1]",
     "0.0.0.0", "100.64.0.1", "2130706433", "0x7f.1", "[fd00::1]", "224.0.0.1"],
)  # fmt: skip
def test_addresses_inside_are_refused_unless_allowed(host: str) -> None:
    with pytest.raises((Rejected, Undelivered)) as caught:
        Webhook({"url": f"https://{host}:9/x", "secret": SECRET}).send(MESSAGE)
    if isinstance(caught.value, Undelivered):
        assert "has no address" in str(caught.value)
    else:
        assert "allow_private" in str(caught.value)


def test_no_error_shows_the_secret_or_the_path(receiver: Receiver) -> None:
    errors: list[BaseException] = []
    for status in (302, 404, 500):
        receiver.status = status
        with pytest.raises((Rejected, Undelivered)) as caught:
            handler(receiver).send(MESSAGE)
        errors.append(caught.value)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}{PATH}"
        with pytest.raises(Undelivered) as unreachable:
            Webhook({"url": url, "secret": SECRET, "allow_private": True}).send(MESSAGE)
        errors.append(unreachable.value)
    for options in ({"url": f"nonsense{PATH}", "secret": SECRET}, {"url": receiver.url, "secret": PATH, "x": PATH}):
        with pytest.raises(ValidationError) as invalid:
            Webhook(options)
        errors.append(invalid.value)
    said = "".join(f"{error} {error!r}" for error in errors)
    assert "canary" not in said
    assert SECRET not in said


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://h/x"},
        {"url": "https://user:pass@h/x"},
        {"url": "http://hooks.example.com/x"},
        {"secret": "short"},
        {"secret": "whsec_" + base64.b64encode(b"short").decode()},
        {"secret": "whsec_ not base64 at all, but long enough"},
        {"timeout": 0},
        {"timeout": 3600},
        {"colour": "blue"},
    ],
)
def test_options_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Webhook({"url": "https://hooks.example.com/x", "secret": SECRET, **wrong})


def test_json_is_what_json_is(receiver: Receiver) -> None:
    handler(receiver).send(MESSAGE)
    [(_, headers, body)] = receiver.got
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["data"]["key"] == "run.failed/1"
