"""What server there is: asked when it is first spoken to, after every outage, and now and then, since it may be upgraded."""

from __future__ import annotations

import threading
import time

from service import limits
from service.errors import MlrunAway
from service.mlrun_api.answers import NOT_FOUND, Json, json_of, nonsense, refusal
from service.mlrun_api.connection import Connection
from service.mlrun_api.versions import Server, server_of


class Negotiated:
    """The server that answers, as it said itself. Safe to use from several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._known: tuple[Server, float] | None = None

    def server(self, until: float | None = None) -> Server:
        """Raises MlrunAway while it does not answer, is not ready or not there; MlrunRefused for what is too old."""
        with self._lock:
            known = self._known
        if known is not None and time.monotonic() < known[1]:
            return known[0]
        found = self._ask(until)
        with self._lock:
            self._known = found, time.monotonic() + limits.MLRUN_SERVER_S
        return found

    def again(self) -> Server:
        """The same, asked now."""
        self.forget()
        return self.server()

    def forget(self) -> None:
        with self._lock:
            self._known = None

    def _ask(self, until: float | None) -> Server:
        asked = self._connection.asked("say which version of MLRun it is")
        self._get("healthz", until)
        version = self._get("client-spec", until).get("version")
        if not isinstance(version, str) or not version:
            answer = self._connection.ask(asked, "GET", "client-spec", until=until)
            raise nonsense(asked, answer, "without a version")
        return server_of(version)

    def _get(self, path: str, until: float | None) -> Json:
        asked = self._connection.asked("say which version of MLRun it is")
        answer = self._connection.ask(asked, "GET", path, until=until)
        if answer.status == NOT_FOUND:
            what = f"there is no MLRun API at {self._connection.address}: it has no /api/v1/{path}"
            mend = "set mlrun.api to its address, without /api; it goes on by itself where that one is being upgraded"
            raise MlrunAway(what, mend=mend, answer=answer.status, sent=False)
        if not answer.good:
            raise refusal(answer, asked)
        return json_of(answer, asked)
