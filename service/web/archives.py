"""The files of one commit as they are sent: to pods, and to whoever knows the address of an archive.

`/archives/<capability>/<commit>.tar.gz` needs no header, since MLRun's loader sends none; the capability in it is the
secret. Everything that is not exactly such an address of today is the same 404.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import IO, Protocol

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import FileWrapper

from service import limits
from service.errors import NotFound, SourceError, StoreUnavailable


class Sendable(Protocol):
    """An archive, open. Closing `file` lets go of it."""

    @property
    def file(self) -> IO[bytes]: ...
    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...


SHA256 = "Gitops-Sha256"
_PIECE = 256 * limits.KIB

# The repository whose commit the capability and the commit in an address give access to, if they do.
Allowed = Callable[[str, str], str | None]


def blueprint(allowed: Allowed, archive: Callable[[str, str], Sendable]) -> Blueprint:
    archives = Blueprint("archives", __name__)

    @archives.get("/archives/<capability>/<commit>.tar.gz")
    def sent(capability: str, commit: str) -> Response:
        repository = allowed(capability, commit)
        if repository is None:
            raise NotFound(
                "there is no such archive", mend="its revision is not in force, and none of its runs goes on"
            )
        try:
            return send(archive(repository, commit))
        except SourceError as error:
            if error.retry:
                raise StoreUnavailable(error.what, mend=error.mend) from error
            raise

    return archives


def send(archive: Sendable) -> Response:
    """Its bytes from the file, whole or the asked range, or that the caller has them."""
    response = Response(FileWrapper(archive.file, _PIECE), content_type="application/gzip", direct_passthrough=True)
    response.call_on_close(archive.file.close)
    response.content_length = archive.size
    response.headers[SHA256] = archive.sha256
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(archive.sha256)
    try:
        response.make_conditional(request, accept_ranges=True, complete_length=archive.size)
    except HTTPException:  # there is no such range
        archive.file.close()
        raise
    if request.method == "HEAD" or response.status_code == HTTPStatus.NOT_MODIFIED:
        archive.file.close()
        response.response = ()
    return response
