"""The load generator: `python -m tests.bench.load` sends signed pushes over many connections and says what came back.

A program of its own, one thread over bare sockets with every request made beforehand, so that what is measured is the
server. It takes an Order as JSON on stdin, answers one as JSON on stdout, and tells how busy it was itself.
"""

from __future__ import annotations

import hashlib
import json
import re
import selectors
import socket
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Any

from tests.bench.figure import NotProven
from tests.peers.forge import SECRET, push_payload, signed

# Different pushes; each is sent again and again under new delivery ids.
_PUSHES = 128
# A generator that is busier than this is what is measured.
_BUSY = 0.8
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Order:
    """`seconds` count after `warm_up_s`. `pace` is in requests a second over all connections; 0 is as fast as it goes. The connections are
    dealt out to the ports."""

    ports: Sequence[int]
    hook: str
    connections: int
    seconds: float
    warm_up_s: float = 0.3
    pace: float = 0.0
    body_bytes: int = 7_000


@dataclass(frozen=True, slots=True)
class Came:
    """What came of it. `acknowledged` are the delivery's ids, the forge's to ours, of all that were answered 202."""

    acknowledged: dict[str, str]
    reasons: list[str]
    seconds: float
    counted: int
    p50_ms: float
    p99_ms: float
    busy: float

    @property
    def rate(self) -> float:
        return self.counted / self.seconds


def send(order: Order) -> Came:
    """In a process of its own. Raises NotProven when anything but a 202 came, or the generator itself was the limit."""
    command = [sys.executable, "-m", "tests.bench.load"]
    ran = subprocess.run(command, input=json.dumps(asdict(order)), capture_output=True, text=True, check=False)
    if ran.returncode:
        raise NotProven(f"the load generator: {ran.stderr.strip().splitlines()[-1]}")
    came = Came(**json.loads(ran.stdout))
    if came.busy > _BUSY:
        raise NotProven(f"the load generator was busy {came.busy:.0%} of the time: it would be what is measured")
    return came


@dataclass(slots=True)
class _Connection:
    """One request at a time. `due` is when it should have been sent: a late one has waited since then."""

    socket: socket.socket
    forge_id: str = ""
    due: float = 0.0
    heard: bytes = b""


class _Generator:
    def __init__(self, order: Order) -> None:
        self._order = order
        self._pushes = [_push(order, i) for i in range(_PUSHES)]
        self._sent = 0
        self._selector = selectors.DefaultSelector()
        self._took: list[float] = []
        self._acknowledged: dict[str, str] = {}
        self._reasons: set[str] = set()

    def run(self) -> Came:
        order = self._order
        idle = [_Connection(_connect(port)) for port in islice(cycle(order.ports), order.connections)]
        for connection in idle:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        start, worked = time.perf_counter(), time.process_time()
        self._begin, end = start + order.warm_up_s, start + order.warm_up_s + order.seconds
        flying = 0
        turns = self._turns(start)
        due = next(turns)
        while flying or time.perf_counter() < end:
            while idle and due <= time.perf_counter() < end:
                self._send(idle.pop(), due)
                flying += 1
                due = next(turns)
            patience = max(0.0, min(due, end) - time.perf_counter()) if idle else None
            for key, _ in self._selector.select(patience):
                if self._hear(key.data, end):
                    flying -= 1
                    idle.append(key.data)
        took = sorted(self._took)
        if len(took) < 2:
            raise SystemExit("no answer came in time")
        return Came(
            acknowledged=self._acknowledged,
            reasons=sorted(self._reasons)[:5],
            seconds=order.seconds,
            counted=len(took),
            p50_ms=statistics.median(took) * 1000,
            p99_ms=took[int(len(took) * 0.99)] * 1000,
            busy=(time.process_time() - worked) / (time.perf_counter() - start),
        )

    def _turns(self, start: float) -> Iterator[float]:
        """When the next request is due."""
        number = 0
        while True:
            yield start + number / self._order.pace if self._order.pace else 0.0
            number += 1

    def _send(self, connection: _Connection, due: float) -> None:
        head, body = self._pushes[self._sent % _PUSHES]
        self._sent += 1
        connection.forge_id = str(uuid.uuid4())
        connection.heard = b""
        connection.due = due or time.perf_counter()
        connection.socket.sendall(b"%b%b\r\n\r\n%b" % (head, connection.forge_id.encode(), body))

    def _hear(self, connection: _Connection, end: float) -> bool:
        """True when the answer is complete."""
        piece = connection.socket.recv(_ANSWER_BYTES)
        if not piece:
            raise SystemExit("the server closed a connection")
        connection.heard += piece
        head, blank, body = connection.heard.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not blank or length is None or len(body) < int(length[1]):
            return False
        now = time.perf_counter()
        if not head.startswith(b"HTTP/1.1 202 "):
            raise SystemExit(f"answered {head.splitlines()[0].decode()}: {body.decode()}")
        if self._begin <= now <= end:
            self._took.append(now - connection.due)
        told = json.loads(body)
        self._acknowledged[connection.forge_id] = told["delivery"]
        self._reasons.add(told["reason"])
        return True


def _connect(port: int) -> socket.socket:
    connected = socket.create_connection(("127.0.0.1", port), timeout=30)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


def _push(order: Order, number: int) -> tuple[bytes, bytes]:
    """The request of a push, its head open at the delivery's id."""
    body, headers = signed(_payload(order, number))
    del headers["x-github-delivery"]
    lines = [
        f"POST /webhooks/github/{order.hook} HTTP/1.1",
        "host: 127.0.0.1",
        "user-agent: GitHub-Hookshot/044aadd",
        "accept: */*",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
        "x-github-delivery: ",
    ]
    return "\r\n".join(lines).encode(), body


def _payload(order: Order, number: int) -> dict[str, Any]:
    """A push of as many commits as it takes to be of that size, each as GitHub describes it."""
    payload = push_payload(f"ada/{order.hook}", _sha(number), _sha(number + 1))
    ada = {"name": "Ada", "email": "ada@example.com", "username": "ada"}
    while len(json.dumps(payload)) < order.body_bytes:
        commit = _sha(number, len(payload["commits"]))
        payload["commits"].append(
            {
                "id": commit,
                "tree_id": _sha(commit),
                "distinct": True,
                "message": f"Change what the model is trained with, for the {number}th time\n\nAnd say why.",
                "timestamp": "2026-01-05T12:00:00+01:00",
                "url": f"https://git.example.com/ada/{order.hook}/commit/{commit}",
                "author": ada,
                "committer": ada,
                "added": ["src/features.py"],
                "removed": [],
                "modified": ["project.yaml", "src/train.py"],
            }
        )
    return payload


def _sha(*of: object) -> str:
    """As good as a commit's: compresses as badly."""
    return hashlib.sha1(repr(of).encode(), usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    print(json.dumps(asdict(_Generator(Order(**json.load(sys.stdin))).run())))


__all__ = ["SECRET", "Came", "Order", "send"]
