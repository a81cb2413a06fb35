"""Every error of the HTTP side as RFC 9457 problem+json, from one tree: what happened, and what to do about it.

`register` puts this into a Flask app; nothing else in `web` writes an error body.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Flask, Response
from werkzeug.exceptions import HTTPException
from werkzeug.sansio.response import Response as WSGIResponse

from service.errors import GitopsError, StoreUnavailable
from service.store import new_id

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
# What a client waits before it tries again where only time can help.
RETRY_AFTER_S = 10


def register(app: Flask) -> None:
    app.register_error_handler(GitopsError, of_error)
    app.register_error_handler(HTTPException, of_http)
    app.register_error_handler(Exception, of_bug)


def problem(status: int, detail: str, *, code: str = "", **more: Any) -> Response:
    """The response. `code` is the error's stable name; `more` are further members, left out where they are empty."""
    told = {
        "type": f"urn:mlrun-gitops:{code}" if code else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        **{name: value for name, value in more.items() if value},
    }
    response = Response(msgspec.json.encode(told), status=int(status), content_type=MEDIA_TYPE)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(more.get("retry_after") or RETRY_AFTER_S)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def of_error(error: GitopsError) -> Response:
    if isinstance(error, StoreUnavailable):
        log.error("%s", error)
    return problem(error.status, error.what, code=error.code, mend=error.mend, output=error.detail)


def of_http(error: HTTPException) -> WSGIResponse:
    """Flask's own: no such path, a method that is not allowed. Redirects are no errors, and made responses stay."""
    if error.response is not None or error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error.get_response()
    response = problem(error.code, error.description or "")
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def of_bug(error: Exception) -> Response:
    """Anything else is a fault of ours: the client gets a number to name, the log has the rest."""
    number = new_id()
    log.error("an unforeseen error, %s", number, exc_info=error)
    detail = f"The service made a mistake; its log has it as {number}"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, code="unforeseen")
