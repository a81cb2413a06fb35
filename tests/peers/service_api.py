"""The service as whoever uses its API sees it, whatever it runs as: an answer may take until it has started again."""

from __future__ import annotations

import time
from typing import Any

import httpx

_ANSWER_S = 60.0


class ServiceApi:
    """`get` and `all` read below `/api/v1`; `http` asks anything, once."""

    def __init__(self, url: str, token: str = "", answer_s: float = _ANSWER_S) -> None:
        self.url = url
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=url, timeout=10, trust_env=False, headers=headers)
        self._answer_s = answer_s

    def ready(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def keep_alive(self) -> None:
        """What its supervisor does, where the test is that."""

    def tail(self, size: int = 4000) -> str:
        """The end of its log, where there is one at hand."""
        return ""

    def get(self, path: str, **query: str | int) -> Any:
        """An answer of the API, asked again while the service is down."""
        deadline = time.monotonic() + self._answer_s
        while True:
            try:
                answer = self.http.get(f"/api/v1{path}", params=query)
                if answer.status_code != 503:
                    answer.raise_for_status()
                    return answer.json()
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline:
                raise AssertionError(f"{path} was not answered; the service's log ends:\n{self.tail()}")
            self.keep_alive()
            time.sleep(0.05)

    def all(self, path: str, **query: str | int) -> list[Any]:
        """Every item of a list."""
        items: list[Any] = []
        cursor: str | None = None
        while True:
            page = self.get(path, limit=500, **query, **({"cursor": cursor} if cursor else {}))
            items += page["items"]
            cursor = page["next"]
            if not cursor:
                return items
