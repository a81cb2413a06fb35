"""List, then watch, for good: one of it follows all Jobs, another one all pods, however many there are.

A watch can end, expire (410), stand still or lose the server, and each has its way back here: a fresh list. A list is made
every few minutes anyway, for what a watch never said.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import structlog

from service.errors import ClusterAway, ClusterRefused, LauncherError
from service.launchers.kubernetes.api import EXPIRED, Api, Stream
from service.launchers.kubernetes.connection import Json
from service.launchers.kubernetes.view import View

log = structlog.get_logger(__name__)

# The server ends a watch after so long, and a silence a little longer means that nobody is there any more.
_WATCH_S = 25
_SILENCE_S = _WATCH_S + 10.0
_RESYNC_S = 300.0
_AT_ONCE_S = 1.0
_BACKOFF_FIRST_S = 0.2
_BACKOFF_MAX_S = 10.0


class Watch(threading.Thread):
    """Keeps `view` as the cluster is, for one kind of objects, until `stop`."""

    def __init__(self, api: Callable[[], Api], kind: str, selector: str, view: View) -> None:
        super().__init__(name=f"kubernetes-{kind}", daemon=True)
        self._api = api
        self._kind = kind
        self._selector = selector
        self._view = view
        self._stopping = threading.Event()
        self._failures = 0
        self._stream: Stream | None = None

    def stop(self) -> None:
        self._stopping.set()
        if (stream := self._stream) is not None:
            stream.stop()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except LauncherError as error:
                self._lost(error)
            except Exception as error:  # a thread that ends would leave every job unwatched
                log.exception("watching met a bug", kind=self._kind)
                self._lost(ClusterAway(f"watching met a bug: {error}"))

    def _follow(self) -> None:
        things, version = self._api().list(self._kind, labelSelector=self._selector)
        back = self._view.trouble()
        self._view.replace(self._kind, things, version)
        if self._failures and back:
            log.info("the cluster is followed again", kind=self._kind)
        again_at = time.monotonic() + _RESYNC_S
        while time.monotonic() < again_at and not self._stopping.is_set():
            version = self._watch(version)

    def _watch(self, version: str) -> str:
        """Until the server ends it: the version from which to go on. One that ends at once is as good as none."""
        query = {"resourceVersion": version, "allowWatchBookmarks": "true", "labelSelector": self._selector}
        began, before = time.monotonic(), version
        with self._api().watch(self._kind, last_s=_WATCH_S, patience_s=_SILENCE_S, **query) as stream:
            self._stream = stream
            for event in stream.events():
                version = self._take(event["type"], event["object"], version)
                self._failures = 0
                if self._stopping.is_set():
                    break
        if version == before and time.monotonic() < began + _AT_ONCE_S:
            raise ClusterAway("the watch was ended before it said anything")
        return version

    def _take(self, what: str, thing: Json, version: str) -> str:
        if what == "ERROR":
            code = int(thing.get("code") or 0)
            said = str(thing.get("message", ""))
            if code == EXPIRED:
                raise ClusterRefused(f"the watch expired: {said}", answer=code)
            raise ClusterAway(f"the watch was ended: {said}", answer=code)
        if what == "DELETED":
            self._view.remove(self._kind, thing)
        elif what != "BOOKMARK":
            self._view.put(self._kind, thing)
        return str(thing["metadata"].get("resourceVersion", version))

    def _lost(self, error: LauncherError) -> None:
        if self._stopping.is_set():
            return
        expired = isinstance(error, ClusterRefused) and error.answer == EXPIRED
        if not expired and self._view.lost(self._kind, str(error)):
            log.warning("the cluster is not followed", kind=self._kind, error=str(error), detail=error.detail)
        self._failures += 1
        pause = min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2 ** min(self._failures - 1, 10)) * random.uniform(0.5, 1)  # noqa: S311
        asked = error.retry_after_s if isinstance(error, ClusterAway) else 0.0
        self._stopping.wait(max(pause, asked))
