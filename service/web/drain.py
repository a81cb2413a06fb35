"""The time between SIGTERM and the end: nobody new is to come, and whoever comes all the same is answered.

Whoever spreads requests over several replicas asks each from time to time whether it is ready, and goes on sending until it says no. So a
replica that is to end says no first, and listens on for as long as that takes to get round. Connections that are kept open for more
are closed with their next answer: a request that is sent on one at its last moment would be lost.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_READY = "/readyz"
_NOT_READY = {
    "type": "about:blank",
    "title": HTTPStatus.SERVICE_UNAVAILABLE.phrase,
    "status": int(HTTPStatus.SERVICE_UNAVAILABLE),
    "code": "not-ready",
    "detail": "this process is ending; ask another one",
}


class Drain:
    """A byte that master and worker share, since the one hears the signal and the other answers. Made before the fork."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def begin(self) -> None:
        self._byte[0] = 1

    @property
    def begun(self) -> bool:
        return self._byte[0] != 0

    def wrap(self, app: WSGIApplication) -> WSGIApplication:
        """`app`, which says no to who asks whether it is ready, and lets connections go, once the end has begun."""

        def draining(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            if not self.begun:
                return app(environ, start_response)

            def start(status: str, headers: list[tuple[str, str]], *also: Any) -> Any:
                return start_response(status, [*headers, ("connection", "close")], *also)

            if environ.get("PATH_INFO") != _READY:
                return app(environ, start)
            status = f"{_NOT_READY['status']} {_NOT_READY['title']}"
            start(status, [("content-type", "application/problem+json")])
            return [json.dumps(_NOT_READY).encode()]

        return draining


__all__ = ["Drain"]
