"""Kubernetes' API as a test speaks to it: paths and plain documents, with the administrator's certificate."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx

from tests.peers.kubernetes.pki import Identity

Document = dict[str, Any]
_PATCH = "application/strategic-merge-patch+json"


class ApiError(Exception):
    """An answer of 400 and above; `status` and `reason` are Kubernetes' own."""

    def __init__(self, method: str, path: str, answer: httpx.Response) -> None:
        self.status = answer.status_code
        try:
            self.reason = str(answer.json().get("reason", ""))
        except ValueError:
            self.reason = ""
        super().__init__(f"{method} {path}: {answer.status_code} {answer.text[:1000]}")


def client_context(authority: Path, user: Identity | None) -> ssl.SSLContext:
    """Trusts the cluster's authority only, whatever the environment says."""
    context = ssl.create_default_context(cafile=str(authority))
    if user is not None:
        context.load_cert_chain(user.certificate, user.key)
    return context


class Api:
    """`get("/api/v1/pods")`, `post(path, document)`, ...: answers are documents; ApiError for all but success."""

    def __init__(self, server: str, context: ssl.SSLContext, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=server, verify=context, trust_env=False, timeout=30, headers=headers)

    def get(self, path: str, **parameters: Any) -> Document:
        return self._ask("GET", path, params=parameters)

    def text(self, path: str, **parameters: Any) -> str:
        """What is no document: a log."""
        return self._send("GET", path, params=parameters).text

    def post(self, path: str, document: Document) -> Document:
        return self._ask("POST", path, json=document)

    def put(self, path: str, document: Document) -> Document:
        return self._ask("PUT", path, json=document)

    def patch(self, path: str, document: Document) -> Document:
        return self._ask("PATCH", path, json=document, headers={"Content-Type": _PATCH})

    def delete(self, path: str, **parameters: Any) -> Document:
        return self._ask("DELETE", path, params=parameters)

    def items(self, path: str, **parameters: Any) -> list[Document]:
        found: list[Document] = self.get(path, **parameters)["items"]
        return found

    def wait_for(self, path: str, holds: Callable[[Document], object], seconds: float = 30) -> Document:
        """What is at `path` as soon as `holds` says so of it; what is absent does not hold."""
        deadline = time.monotonic() + seconds
        seen: object = None
        while time.monotonic() < deadline:
            try:
                seen = document = self.get(path)
                if holds(document):
                    return document
            except (ApiError, httpx.TransportError) as error:
                seen = error
            time.sleep(0.05)
        raise AssertionError(f"waited {seconds:.0f} s for {path}; last seen: {str(seen)[:4000]}")

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, path: str, **more: Any) -> Document:
        document: Document = self._send(method, path, **more).json()
        return document

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = self._http.request(method, path, **more)
        if answer.status_code >= 400:
            raise ApiError(method, path, answer)
        return answer
