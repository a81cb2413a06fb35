"""The service's API over HTTP, its problems turned into errors of ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import quote

from service.domain.hosts import is_loopback
from service.errors import ApiError, UnreachableError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8080"
_TIMEOUT_S = 40.0
# How long a follower bears with a service that restarts.
PATIENCE_S = 60.0
_LOOK_S = 0.5
_CHECK = "check --url or GITOPS_URL"


class Answer(dict[str, Any]):
    """A document of the API. One that lacks what every such answer has comes from another program, or another version."""

    def __init__(self, url: str, document: Mapping[str, Any]) -> None:
        super().__init__(document)
        self._url = url

    def __missing__(self, key: str) -> NoReturn:
        raise ApiError(f"{self._url} answers, but without {key!r}: it is no mlrun-gitops of this version", mend=_CHECK)


class Client:
    def __init__(self, url: str, token: str | None, timeout_s: float = _TIMEOUT_S) -> None:
        import httpx

        self.url = url.rstrip("/")
        host = _host(self.url)
        headers = {"x-gitops-client": "cli", "accept": "application/json"}
        if token:
            # Not what is wrong with it: httpx would quote it.
            if not (token.isascii() and token.isprintable()):
                raise ApiError("the token has characters that no token has", mend="check --token or GITOPS_TOKEN")
            headers["authorization"] = f"Bearer {token}"
        local = is_loopback(host)
        self._http = httpx.Client(
            base_url=f"{self.url}/api/v1", headers=headers, timeout=timeout_s, trust_env=not local
        )

    def get(self, *path: str, **query: Any) -> Any:
        return self._ask("GET", path, params={k: v for k, v in query.items() if v is not None})

    def post(self, *path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self._ask("POST", path, json=dict(body or {}))

    def _ask(self, method: str, path: tuple[str, ...], **how: Any) -> Any:
        import httpx

        try:
            response = self._http.request(method, "/" + "/".join(quote(part, safe="") for part in path), **how)
        except httpx.TransportError as error:
            raise UnreachableError(
                f"nothing answers at {self.url} ({_words(error)})",
                mend="start it by `mlrun-gitops serve`, or name another by --url or GITOPS_URL",
            ) from error
        except httpx.DecodingError as error:
            raise _other(self.url, "its answer cannot be decompressed") from error
        answer = Answer(self.url, _document(self.url, response))
        if response.is_success:
            return answer
        raise _error(response, answer)


def _host(url: str) -> str:
    """Raises ApiError for what is no address, without quoting a password in it."""
    import httpx

    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL("")
    if address.userinfo:
        raise ApiError("the service's address has a name or password in it", mend="give a token, by GITOPS_TOKEN")
    if address.scheme not in ("http", "https") or not address.host:
        raise ApiError(f"{url!r} is no address of a service", mend=f"write --url {DEFAULT_URL}")
    return address.host


def _document(url: str, response: httpx.Response) -> Mapping[str, Any]:
    problem = response.headers.get("content-type", "").split(";")[0] == "application/problem+json"
    if not (response.is_success or problem):
        raise _other(url, f"status {response.status_code}")
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _other(url, f"status {response.status_code}, and no JSON of its kind")
    return document


def _other(url: str, seen: str) -> ApiError:
    return ApiError(f"{url} answers, but is no mlrun-gitops ({seen})", mend=_CHECK)


def _error(response: httpx.Response, told: Answer) -> ApiError:
    kind = UnreachableError if response.status_code == 503 else ApiError
    error = kind(
        str(told.get("detail") or told["title"]), mend=str(told.get("mend", "")), detail=str(told.get("output", ""))
    )
    with suppress(ValueError):  # a number that HTTP does not know
        error.status = HTTPStatus(response.status_code)
    return error


def _words(error: Exception) -> str:
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    return (inner.strerror if isinstance(inner, OSError) and inner.strerror else str(inner)) or type(error).__name__


def bearing(ask: Callable[[], T], told: Callable[[str], None]) -> T:
    """`ask`, again and again while the service restarts: what is followed goes on meanwhile."""
    deadline: float | None = None
    while True:
        try:
            return ask()
        except UnreachableError as error:
            if deadline is None:
                deadline = time.monotonic() + PATIENCE_S
                told(f"{error.what}; trying again for {PATIENCE_S:.0f} s")
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_S)
