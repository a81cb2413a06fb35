"""`POST /webhooks/<forge>/<hook>`: reads a body under its cap, lets the receiver decide, and says what it decided.

Never 410, which would turn the webhook off at the forge.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import msgspec
from flask import Blueprint, Response, request

from service import limits
from service.errors import GitopsError, StoreUnavailable
from service.receiver import FORGES, Answer, Intake
from service.web import bodies
from service.web.health import Metrics
from service.web.problems import of_error, problem

_MEND = "No forge sends such webhooks; check what sends to this address"
# The names that the error tree has for what the receiver answers.
_CODES = {
    HTTPStatus.BAD_REQUEST: "malformed",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.SERVICE_UNAVAILABLE: "store-unavailable",
}


def blueprint(intake: Intake, metrics: Metrics | None = None) -> Blueprint:
    """The one route, on this intake."""
    webhooks = Blueprint("webhooks", __name__)
    memory = _Memory(limits.WEBHOOK_LARGE_BODIES_BYTES)
    counted = metrics or Metrics()

    @webhooks.post("/webhooks/<forge>/<hook>")
    def receive(forge: str, hook: str) -> Response:
        response = answered(forge, hook)
        # Only names of ours become labels: a stranger could invent any number of others.
        counted.deliveries.labels(forge if forge in FORGES else "unknown", response.status_code).inc()
        return response

    @counted.delivery_seconds.time()
    def answered(forge: str, hook: str) -> Response:
        try:
            with memory.share() as share:
                body = bodies.read(request, limits.WEBHOOK_BODY_BYTES, mend=_MEND, grown=share.grow)
                counted.delivery_bytes.inc(len(body))
                headers = {name.lower(): value for name, value in request.headers.items()}
                return _response(intake.receive(forge, hook, headers, body))
        except GitopsError as error:
            return of_error(error)

    return webhooks


def _response(answer: Answer) -> Response:
    if answer.status >= HTTPStatus.BAD_REQUEST:
        refusal = problem(
            answer.status,
            answer.reason,
            code=_CODES.get(answer.status, ""),
            mend=answer.mend,
            delivery=answer.delivery,
            retry_after=answer.retry_after,
        )
        if answer.status is HTTPStatus.UNAUTHORIZED:
            refusal.headers["WWW-Authenticate"] = "HMAC-SHA256"
        return refusal
    told = msgspec.json.encode({"delivery": answer.delivery, "status": answer.state, "reason": answer.reason})
    return Response(told, status=answer.status, content_type="application/json")


class _Memory:
    """What large bodies may hold together. Small ones need no share, so large ones cannot keep them out."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._lock = threading.Lock()

    @contextmanager
    def share(self) -> Iterator[_Share]:
        share = _Share(self)
        try:
            yield share
        finally:
            self.take(-share.held)

    def take(self, size: int) -> bool:
        with self._lock:
            if size > self._free:
                return False
            self._free -= size
            return True


class _Share:
    def __init__(self, memory: _Memory) -> None:
        self._memory = memory
        self.held = 0

    def grow(self, size: int) -> None:
        """The body has `size` bytes now. Raises StoreUnavailable: the forge shall come again."""
        more = size - limits.WEBHOOK_INLINE_PARSE_BYTES - self.held
        if more <= 0:
            return
        # In steps, so that most pieces need no lock.
        more = max(more, limits.MIB)
        if not self._memory.take(more):
            raise StoreUnavailable("Too many large webhooks at once", mend="Send it again later")
        self.held += more
