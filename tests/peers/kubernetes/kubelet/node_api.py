"""The API as the node speaks to it: with the node's own certificate, so that the Node authorizer decides what it may see."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx

from tests.peers.kubernetes.api import ApiError, Document

_AT_ONCE = 16
_PATIENCE, _PATIENCE_S = 20, 0.1
_MERGE = "application/strategic-merge-patch+json"


class Absent(Exception):
    """Something that a pod refers to is not there; the text is kubelet's."""


class NodeApi:
    """Everything raises ApiError for an answer of 400 and above, and httpx.TransportError where there is none."""

    def __init__(self, server: str, context: ssl.SSLContext) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        self._http = httpx.AsyncClient(base_url=server, verify=context, trust_env=False, timeout=30, limits=limits)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self.server = server

    async def ask(
        self, method: str, path: str, document: Document | None = None, *, urgent: bool = False, **more: Any
    ) -> Document:
        """`urgent` questions do not wait for a turn: what beats must not be late because hundreds of pods have something to say."""
        async with contextlib.nullcontext() if urgent else self._turns:
            answer = await self._http.request(method, path, json=document, **more)
        if answer.status_code >= 400:
            raise ApiError(method, path, answer)
        found: Document = answer.json()
        return found

    async def get(self, path: str, **parameters: str) -> Document:
        return await self.ask("GET", path, params=parameters)

    async def patch(self, path: str, document: Document, *, urgent: bool = False) -> Document:
        return await self.ask("PATCH", path, document, urgent=urgent, headers={"Content-Type": _MERGE})

    async def watch(self, path: str, version: str, **parameters: str) -> AsyncIterator[tuple[str, Document]]:
        """Events from `version` on, until the server ends the watch."""
        query = {**parameters, "watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
        timeout = httpx.Timeout(10, read=None)
        async with self._http.stream("GET", path, params=query, timeout=timeout) as answer:
            if answer.status_code >= 400:
                await answer.aread()
                raise ApiError("GET", path, answer)
            async for line in answer.aiter_lines():
                event = json.loads(line)
                yield event["type"], event["object"]

    async def referred(self, path: str) -> Document:
        """What a pod of this node refers to. The Node authorizer allows that, but learns of a new pod a moment later."""
        for _ in range(_PATIENCE):
            try:
                return await self.get(path)
            except ApiError as error:
                if error.status != 403:
                    raise
            await asyncio.sleep(_PATIENCE_S)
        return await self.get(path)

    async def data(self, kind: str, namespace: str, name: str) -> dict[str, bytes] | None:
        """What a Secret or a ConfigMap (`secrets`, `configmaps`) holds; None where there is none."""
        try:
            found = await self.referred(f"/api/v1/namespaces/{namespace}/{kind}/{name}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        plain = found.get("data") or {}
        if kind == "secrets":
            return {key: base64.b64decode(value) for key, value in plain.items()}
        binary = found.get("binaryData") or {}
        return {key: value.encode() for key, value in plain.items()} | {
            key: base64.b64decode(value) for key, value in binary.items()
        }

    async def close(self) -> None:
        await self._http.aclose()
