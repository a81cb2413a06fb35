"""How the methods of the API ask: one answer, a list in pages, or work that goes on behind the answer until it is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from service import limits
from service.errors import MlrunAway, MlrunRefused
from service.mlrun_api.answers import (
    ACCEPTED,
    NOT_FOUND,
    TOO_MANY,
    UNAUTHORIZED,
    Answer,
    Asked,
    Json,
    entries,
    inner,
    json_of,
    refusal,
)
from service.mlrun_api.connection import Connection, Query, path
from service.mlrun_api.server import Negotiated
from service.mlrun_api.versions import Feature, Server
from service.settings import Settings

_LOOK_FIRST_S, _LOOK_MOST_S = 0.1, 2.0
# These say nothing about the server being another one.
_THE_SAME = frozenset({UNAUTHORIZED, TOO_MANY})


def end(within_s: float | None = None) -> float:
    """When a call that begins now has to have ended; by default as a write outside of the store."""
    return time.monotonic() + (limits.OUTSIDE_WRITE_TIMEOUT_S if within_s is None else within_s)


class Calls:
    """To one server. Safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        self._connection = Connection(settings)
        self._negotiated = Negotiated(self._connection)
        self._closing = threading.Event()

    def to(self, what: str, secrets: Iterable[str] = ()) -> Asked:
        """What is asked for, in words for people; `secrets` that the request carries are not in any."""
        return self._connection.asked(what, secrets)

    def server(self, *, again: bool = False) -> Server:
        return self._negotiated.again() if again else self._negotiated.server()

    def within(self, until: float) -> AbstractContextManager[None]:
        return self._connection.within(until)

    def can(self, feature: Feature, until: float | None = None) -> bool:
        return self._negotiated.server(until).has(feature)

    def any(self, asked: Asked, method: str, where: str, **options: Any) -> Answer:
        """The answer, whatever it says. After an outage the server may be another one."""
        try:
            answer = self._connection.ask(asked, method, where, **options)
        except MlrunAway:
            self._negotiated.forget()
            raise
        if isinstance(refused := None if answer.good else refusal(answer, asked), MlrunAway):
            if answer.status not in _THE_SAME:
                self._negotiated.forget()
            raise refused
        return answer

    def good(self, asked: Asked, method: str, where: str, **options: Any) -> Answer:
        """The answer, which is a good one."""
        answer = self.any(asked, method, where, **options)
        if not answer.good:
            raise refusal(answer, asked)
        return answer

    def found(self, asked: Asked, method: str, where: str, **options: Any) -> Answer | None:
        """The answer, or None where MLRun says that what it is about is not there; any other 404 is MlrunAway."""
        answer = self.any(asked, method, where, **options)
        if answer.status == NOT_FOUND:
            return None
        if not answer.good:
            raise refusal(answer, asked)
        return answer

    def pages(self, asked: Asked, where: str, query: Mapping[str, Any], key: str) -> Iterator[Json]:
        """All entries of a list, page by page where the server has them; none of what is not there.

        Raises MlrunRefused for a list without an end.
        """
        next_page: Query = {**query, "page": 1, "page-size": limits.MLRUN_PAGE} if self.can(Feature.PAGES) else query
        for _ in range(limits.MLRUN_PAGES):
            # A token that is not there any more was the last page's (httpdb.py, paginated_api_call).
            if (answer := self.found(asked, "GET", where, query=next_page)) is None:
                return
            document = json_of(answer, asked)
            yield from entries(document, key, answer, asked)
            token = inner(document, "pagination", "page-token")
            if not token:
                return
            next_page = {"page-token": str(token)}
        raise MlrunRefused(f"{asked.where} has more than {limits.MLRUN_PAGES} pages when it is to {asked.what}")

    def looks(self, asked: Asked, until: float) -> Iterator[None]:
        """Now and then, further and further apart. Raises MlrunAway at the end of the time."""
        pause = _LOOK_FIRST_S
        while time.monotonic() + pause < until and not self._closing.wait(pause):
            yield
            pause = min(2 * pause, _LOOK_MOST_S)
        raise MlrunAway(f"{asked.where} is still at work to {asked.what}", answer=ACCEPTED)

    def done(self, asked: Asked, project: str, task: Json, until: float) -> None:
        """Returns when a background task has succeeded. Raises MlrunRefused when it has failed."""
        name = inner(task, "metadata", "name")
        if not isinstance(name, str):
            raise MlrunRefused(f"{asked.where} named no task when it was to {asked.what}", answer=ACCEPTED)
        where = path("projects", project, "background-tasks", name)
        for _ in self.looks(asked, until):
            answer = self.found(asked, "GET", where, until=until)
            status = inner(json_of(answer, asked), "status") if answer else None
            if (state := inner(status, "state")) == "failed":
                said = inner(status, "error")
                colon = f": {asked.mask(str(said))}" if said else ""
                raise MlrunRefused(f"{asked.where} failed to {asked.what}{colon}", answer=ACCEPTED)
            if state == "succeeded":
                return

    def close(self) -> None:
        self._closing.set()
        self._connection.close()
