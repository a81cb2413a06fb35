"""The files of one commit as they are sent: to pods, and to whoever knows the address of an archive.

`/archives/<capability>/<commit>.tar.gz` needs no header, since MLRun's loader sends none; the capability in it is the
secret. Everything that is not exactly such an address of today is the same 404.
"""

from __future__ import annotations

import threading
import weakref
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
# Small ones are sent in so little time that it is worth waiting.
_PATIENCE_S = 0.5

# The repository whose commit the capability and the commit in an address give access to, if they do.
Allowed = Callable[[str, str], str | None]


class Archives:
    """`find` opens the archive of a repository's commit.

    Each that is sent holds a thread for as long as its reader likes, so three of four do other things in any case.
    """

    def __init__(self, find: Callable[[str, str], Sendable], threads: int) -> None:
        self._find = find
        self._free = threading.BoundedSemaphore(max(1, threads // 4))

    def send(self, repository: str, commit: str) -> Response:
        """The whole archive or the asked range of it, from its file; or that the caller has it. Raises SourceError, StoreUnavailable where
        a later try may succeed."""
        if not self._free.acquire(timeout=_PATIENCE_S):
            raise StoreUnavailable("Too many archives are being sent", mend="Ask again in a moment")
        try:
            archive = self._find(repository, commit)
        except BaseException as error:
            self._free.release()
            if isinstance(error, SourceError) and error.retry:
                raise StoreUnavailable(error.what, mend=error.mend, detail=error.detail) from error
            raise
        return _response(archive, self._free.release)


def blueprint(allowed: Allowed, archives: Archives) -> Blueprint:
    found = Blueprint("archives", __name__)

    @found.get("/archives/<capability>/<commit>.tar.gz")
    def sent(capability: str, commit: str) -> Response:
        repository = allowed(capability, commit)
        if repository is None:
            raise NotFound(
                "there is no such archive", mend="its revision is not in force, and none of its runs goes on"
            )
        return archives.send(repository, commit)

    return found


def _response(archive: Sendable, sent: Callable[[], None]) -> Response:
    body = _Body(archive, sent)
    response = Response(body, content_type="application/gzip", direct_passthrough=True)
    response.content_length = archive.size
    response.headers[SHA256] = archive.sha256
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(archive.sha256)
    try:
        response.make_conditional(request, accept_ranges=True, complete_length=archive.size)
    except HTTPException:  # there is no such range
        body.close()
        raise
    if request.method == "HEAD" or response.status_code == HTTPStatus.NOT_MODIFIED:
        body.close()
        response.response = ()
    return response


class _Body(FileWrapper):
    """Lets go once: when it was sent, or when whoever sent it dropped it with its reader."""

    def __init__(self, archive: Sendable, sent: Callable[[], None]) -> None:
        super().__init__(archive.file, _PIECE)
        self._end = weakref.finalize(self, _end, archive.file, sent)

    def close(self) -> None:
        self._end()


def _end(file: IO[bytes], sent: Callable[[], None]) -> None:
    file.close()
    sent()
