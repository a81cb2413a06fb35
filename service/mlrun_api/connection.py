"""One request to the MLRun API and its answer, within a time and a size; what goes wrong on the way is MlrunAway."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import msgspec

from service import limits
from service.errors import MlrunAway, MlrunRefused
from service.mlrun_api import credential
from service.mlrun_api.answers import Answer, Asked, masking, nonsense
from service.settings import Settings

if TYPE_CHECKING:
    import httpx

    from service.mlrun_api.transport import Deadline

Query = Mapping[str, str | int | bool | Iterable[str] | None]
V1, V2 = "v1", "v2"
# DESIGN's rule: with it no server appends anything to the names of images.
_PYTHON = "3.11"
# Of an answer that refuses: enough for its words.
_REFUSAL_BYTES = 64 * limits.KIB


@dataclass(frozen=True, slots=True)
class _Clients:
    """`kept` uses its connections again, `fresh` has a new one for each request."""

    kept: httpx.Client
    fresh: httpx.Client
    deadline: Deadline


class _Latest(threading.local):
    """When whatever this thread asks for has to have ended."""

    at: float = float("inf")


class Connection:
    """To the server at `settings.mlrun.api`. Safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        assert settings.mlrun.api is not None
        self._settings = settings.mlrun
        self._api = settings.mlrun.api
        self.address = urlsplit(self._api).netloc
        self._where = f"the MLRun API at {self.address}"
        self._secrets = frozenset(credential.secrets(settings.mlrun))
        self._opening = threading.Lock()
        self._opened: _Clients | None = None
        self._latest = _Latest()

    @contextmanager
    def within(self, until: float) -> Iterator[None]:
        """Whatever this thread asks for meanwhile has its answer by then, or is given up; what was not sent by then never is."""
        before, self._latest.at = self._latest.at, until
        try:
            yield
        finally:
            self._latest.at = before

    def asked(self, what: str, secrets: Iterable[str] = ()) -> Asked:
        """`what` the server is to do, for errors; `secrets` that the request itself carries."""
        return Asked(self._where, what, masking(self._secrets.union(secrets)))

    def ask(
        self,
        asked: Asked,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        document: Any = None,
        version: str = V1,
        most: int = limits.MLRUN_ANSWER_BYTES,
        cut: bool = False,
        once: bool = False,
        until: float | None = None,
    ) -> Answer:
        """The answer, whatever it says; more than `most` bytes of a good one are `cut` or an error.

        What may be done again is sent again where a kept connection turns out to be gone; `once` is for what may not.
        `until` is when the answer has to be there by `time.monotonic`. Raises MlrunAway, MlrunRefused.
        """
        from service.mlrun_api import transport

        clients = self._open()
        own = until if until is not None else time.monotonic() + limits.OUTSIDE_WRITE_TIMEOUT_S
        clients.deadline.at = min(own, self._latest.at)
        client = clients.fresh if once else clients.kept
        request = client.build_request(
            method,
            f"/api/{version}/{path}",
            params=_parameters(query or {}),
            content=None if document is None else msgspec.json.encode(document),
            headers=None if document is None else {"content-type": "application/json"},
        )
        try:
            try:
                return self._send(asked, client, request, most, cut=cut)
            except transport.CUT_OFF:
                if once or clients is not self._opened:
                    raise
                return self._send(asked, client, request, most, cut=cut)
        except transport.FAILURES as error:
            raise self._away(asked, error) from error

    def close(self) -> None:
        """Let its connections go, and end what waits for an answer; the next call makes new ones."""
        with self._opening:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.kept.close()
            opened.fresh.close()

    def _open(self) -> _Clients:
        from service.mlrun_api.transport import Deadline, Transport, client

        headers = {
            "x-mlrun-client-version": self._settings.version,
            "x-mlrun-client-python-version": _PYTHON,
            **credential.headers(self._settings),
        }
        with self._opening:
            if self._opened is None:
                deadline, ca_bundle = Deadline(), self._settings.ca_bundle
                self._opened = _Clients(
                    kept=client(Transport(deadline, ca_bundle, keep=True), self._api, headers),
                    fresh=client(Transport(deadline, ca_bundle, keep=False), self._api, headers),
                    deadline=deadline,
                )
            return self._opened

    def _send(self, asked: Asked, client: httpx.Client, request: httpx.Request, most: int, *, cut: bool) -> Answer:
        response = client.send(request, stream=True)
        try:
            return self._read(asked, response, most, cut=cut)
        finally:
            response.close()

    def _away(self, asked: Asked, error: Exception) -> MlrunAway:
        from service.mlrun_api import transport

        sent = not isinstance(error, transport.UNSENT)
        if isinstance(error, transport.TIMEOUTS):
            why = "did not answer in time" if sent else "cannot be connected to in time"
        else:
            why = f"is not reached: {asked.mask(_reason(error))}"
        mend = "look whether it runs, and whether mlrun.api is its address; it goes on by itself"
        return MlrunAway(f"{self._where} {why}, when it was to {asked.what}", mend=mend, sent=sent)

    def _read(self, asked: Asked, response: httpx.Response, most: int, *, cut: bool) -> Answer:
        """The whole of a good answer, the beginning of another."""
        headers = {key.lower(): value for key, value in response.headers.items()}
        good = response.is_success
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > (most if good else _REFUSAL_BYTES):
                break
        answer = Answer(response.status_code, headers, bytes(body[:most]))
        if good and len(body) > most and not cut:
            raise nonsense(asked, answer, f"more than {most // limits.MIB} MiB")
        if good and headers.get("content-encoding", "identity") != "identity":
            raise nonsense(asked, answer, "in an encoding that was not asked for")
        return answer


def path(*segments: str) -> str:
    """`projects/fraud/functions/train`, each part of it as one. Raises MlrunRefused for a name that cannot be one."""
    for segment in segments:
        if segment in ("", ".", ".."):
            raise MlrunRefused(f"{segment!r} is no name of anything in MLRun")
    return "/".join(quote(segment, safe="") for segment in segments)


def _parameters(query: Query) -> httpx.QueryParams:
    """Lists as the same key several times; what is None is left out."""
    import httpx

    plain: list[tuple[str, str | int | float | bool | None]] = []
    for key, value in query.items():
        if value is None:
            continue
        if isinstance(value, str | int):
            plain.append((key, str(value)))
        else:
            plain.extend((key, one) for one in value)
    return httpx.QueryParams(plain)


def _reason(error: BaseException) -> str:
    """The innermost cause's words; httpx's own are often empty."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return words or type(error).__name__
