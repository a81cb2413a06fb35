"""The service's API over HTTP, its problems turned into errors of ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

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


class Client:
    def __init__(self, url: str, token: str | None, timeout_s: float = _TIMEOUT_S) -> None:
        import httpx

        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ApiError(f"{url!r} is no address of a service", mend="write --url http://127.0.0.1:8080")
        self.url = url.rstrip("/")
        headers = {"x-gitops-client": "cli", "accept": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        local = is_loopback(parts.hostname)
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
        if response.is_success:
            return response.json()
        raise _error(self.url, response)


def _error(url: str, response: httpx.Response) -> ApiError:
    if response.headers.get("content-type", "").split(";")[0] != "application/problem+json":
        mend = "check --url or GITOPS_URL"
        return ApiError(f"{url} answers, but is no mlrun-gitops (status {response.status_code})", mend=mend)
    told = response.json()
    kind = UnreachableError if response.status_code == 503 else ApiError
    error = kind(str(told.get("detail") or told["title"]), mend=told.get("mend", ""), detail=told.get("output", ""))
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
