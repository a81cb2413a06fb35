"""`/runner/v1/jobs/<id>/...`: what pods ask and tell. Reads what they send under its cap, and lets the launchers' room decide.

Nothing here waits: a pod that has nothing to tell comes again after a while, so that hundreds of them need no thread.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Protocol, TypeVar

import msgspec
from flask import Blueprint, Response, request

from service import limits
from service.errors import Gone, Malformed, SourceError
from service.web import bodies
from service.web.archives import Archives

T = TypeVar("T")
CLAIMER = "Gitops-Claimer"
_MEND = "The runner of this service sends nothing so large"
# Lines are texts in JSON: a quote takes two bytes there.
_LINES_BYTES = 2 * limits.POD_LINES_BYTES + limits.POD_WORDS_BYTES

Claimer = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{16,64}$")]


class Callbacks(Protocol):
    """`service/launchers/callbacks.py`."""

    def authorize(self, job_id: str, token: str) -> None: ...
    def document(self, job_id: str) -> dict[str, Any]: ...
    def source_of(self, job_id: str) -> tuple[str, str]: ...
    def claim(self, job_id: str, claimer: str, found: dict[str, Any]) -> int: ...
    def events(self, job_id: str, claimer: str, since: int, said: Sequence[bytes]) -> int: ...
    def keep_result(self, job_id: str, claimer: str, result: bytes) -> None: ...
    def incompatible(self, job_id: str, faults: Sequence[str]) -> None: ...
    def no_source(self, job_id: str, why: str) -> None: ...


class Claim(msgspec.Struct):
    """`found`: the versions of `python`, `mlrun` and `kfp` where it runs."""

    claimer: Claimer
    found: dict[str, Any] = {}


class Events(msgspec.Struct):
    """Lines of the event file from number `since` on, without their ends; none: is the job still wanted?"""

    claimer: Claimer
    since: Annotated[int, msgspec.Meta(ge=0)]
    lines: Annotated[list[str], msgspec.Meta(max_length=limits.POD_LINES_AT_ONCE)]


class Incompatible(msgspec.Struct):
    """What the image lacks, in words; `found` and `wanted` are what they were made from."""

    faults: list[str]
    found: dict[str, Any] = {}
    wanted: dict[str, Any] = {}


def blueprint(callbacks: Callbacks, archives: Archives) -> Blueprint:
    runners = Blueprint("runners", __name__, url_prefix="/runner/v1/jobs/<job>")

    @runners.before_request
    def check() -> None:
        callbacks.authorize((request.view_args or {})["job"], _token())

    @runners.get("/job")
    def document(job: str) -> Response:
        return _json(callbacks.document(job))

    @runners.get("/source")
    def source(job: str) -> Response:
        repository, commit = callbacks.source_of(job)
        try:
            return archives.send(repository, commit)
        except SourceError as error:
            callbacks.no_source(job, str(error))
            raise Gone(str(error), mend="Leave it; the job ends with that") from error

    @runners.post("/claim")
    def claim(job: str) -> Response:
        asked = _read(Claim, limits.POD_WORDS_BYTES)
        return _json({"lines": callbacks.claim(job, asked.claimer, asked.found)})

    @runners.post("/events")
    def events(job: str) -> Response:
        told = _read(Events, _LINES_BYTES)
        said = [line.encode(errors="replace") for line in told.lines]
        return _json({"lines": callbacks.events(job, told.claimer, told.since, said)})

    @runners.put("/result")
    def result(job: str) -> Response:
        claimer = request.headers.get(CLAIMER, "")
        callbacks.keep_result(job, claimer, bodies.read(request, limits.LOAD_RESULT_BYTES, mend=_MEND))
        return Response(status=HTTPStatus.NO_CONTENT)

    @runners.post("/incompatible")
    def incompatible(job: str) -> Response:
        callbacks.incompatible(job, _read(Incompatible, limits.POD_WORDS_BYTES).faults)
        return Response(status=HTTPStatus.NO_CONTENT)

    return runners


def _json(answer: dict[str, Any]) -> Response:
    """In the order that it has: that of a project's functions means something."""
    return Response(json.dumps(answer), content_type="application/json")


def _token() -> str:
    """What the caller shows; empty where it shows nothing."""
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    return shown.strip() if scheme.lower() == "bearer" else ""


def _read(kind: type[T], cap: int) -> T:
    try:
        return msgspec.json.decode(bodies.read(request, cap, mend=_MEND), type=kind)
    except msgspec.DecodeError as error:
        raise Malformed(f"The body is not understood: {error}", mend="See docs/reference/runner.md") from error
