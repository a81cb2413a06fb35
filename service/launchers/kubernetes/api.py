"""The API server of the cluster: JSON in, JSON out, a timeout on every call, and our own errors.

Objects stay the dicts that Kubernetes speaks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from service import limits
from service.errors import ClusterRefused
from service.launchers.kubernetes.connection import READ_S, UNAUTHORIZED, Json, answer, away, connect, outside, timeout
from service.launchers.kubernetes.names import CONTAINER
from service.settings import Kubernetes

_PAGE = 500
_MERGE = "application/merge-patch+json"
NOT_FOUND, CONFLICT, EXPIRED, FORBIDDEN = 404, 409, 410, 403

# Where each kind of object is.
_PATHS = {
    "jobs": "/apis/batch/v1",
    "pods": "/api/v1",
    "secrets": "/api/v1",
    "configmaps": "/api/v1",
    "events": "/api/v1",
    "serviceaccounts": "/api/v1",
}


class Stream:
    """An answer that goes on."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def pieces(self) -> Iterator[bytes]:
        """As they come: `read1` does not wait for a piece to be full."""
        while piece := self._response.read1(limits.LOG_CHUNK_BYTES):
            yield piece

    def events(self) -> Iterator[Json]:
        rest = b""
        for piece in self.pieces():
            *whole, rest = (rest + piece).split(b"\n")
            yield from map(json.loads, whole)

    def stop(self) -> None:
        """From another thread than the one that reads: it reads the end."""
        try:
            self._response.shutdown()
        except (OSError, ValueError, RuntimeError):  # it has ended
            pass


class Api:
    """One namespace of one cluster; made when it is first needed. Every method raises ClusterAway, ClusterRefused."""

    def __init__(self, settings: Kubernetes) -> None:
        """Raises ClusterRefused where settings or files name no cluster."""
        self._settings = settings
        self._client, found = connect(settings)
        self.namespace = settings.namespace or found

    def get(self, kind: str, name: str) -> Json | None:
        """None where there is none."""
        try:
            return self._call("GET", self._path(kind, name))
        except ClusterRefused as error:
            if error.answer == NOT_FOUND:
                return None
            raise

    def create(self, kind: str, manifest: Json) -> Json | None:
        """None where there is one of that name."""
        try:
            return self._call("POST", self._path(kind), body=manifest)
        except ClusterRefused as error:
            if error.answer == CONFLICT:
                return None
            raise

    def patch(self, kind: str, name: str, change: Json) -> Json | None:
        """None where there is none."""
        try:
            return self._call("PATCH", self._path(kind, name), body=change, content=_MERGE)
        except ClusterRefused as error:
            if error.answer == NOT_FOUND:
                return None
            raise

    def delete(
        self,
        kind: str,
        name: str,
        *,
        propagation: str = "Background",
        grace_s: int | None = None,
        uid: str | None = None,
    ) -> bool:
        """False where there is none, or another one than `uid`."""
        body: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            self._call("DELETE", self._path(kind, name), body=body)
        except ClusterRefused as error:
            if error.answer in (NOT_FOUND, CONFLICT):  # it is gone, or another one of that name by now
                return False
            raise
        return True

    def list(self, kind: str, **query: Any) -> tuple[list[Json], str]:
        """All objects, page by page, and the version of the list, from which a watch goes on."""
        found: list[Json] = []
        following: Json = {}
        while True:
            page = self._call("GET", self._path(kind), query={"limit": _PAGE, **query, **following})
            found += page.get("items") or []
            following = {"continue": page["metadata"].get("continue")}
            if not following["continue"]:
                return found, page["metadata"].get("resourceVersion", "")

    @contextmanager
    def watch(self, kind: str, *, last_s: int, patience_s: float, **query: Any) -> Iterator[Stream]:
        """Events as lines of JSON, for `last_s` seconds, after which the server ends them. Silence of `patience_s` is ClusterAway."""
        query = {"watch": "true", "timeoutSeconds": last_s, **query}
        with self._stream(self._path(kind), query, patience_s) as stream:
            yield stream

    @contextmanager
    def log(self, pod: str, *, patience_s: float, **query: Any) -> Iterator[Stream]:
        """What the runner's container printed."""
        with self._stream(f"{self._path('pods', pod)}/log", {"container": CONTAINER, **query}, patience_s) as stream:
            yield stream

    def may(self, group: str, resource: str, verb: str) -> bool:
        """Whether we have this right in the namespace."""
        main, _, part = resource.partition("/")
        asked = {"namespace": self.namespace, "group": group, "resource": main, "subresource": part, "verb": verb}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {key: value for key, value in asked.items() if value}},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        found = self._call("POST", path, body=review)
        return bool(found.get("status", {}).get("allowed"))

    def version(self) -> str:
        return str(self._call("GET", "/version").get("gitVersion", "unknown"))

    def close(self) -> None:
        self._client.rest_client.close()

    def _path(self, kind: str, name: str = "") -> str:
        return f"{_PATHS[kind]}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    def _call(
        self, method: str, path: str, *, query: Json | None = None, body: Json | None = None, content: str = ""
    ) -> Json:
        response = self._send(method, path, query or {}, body, content, READ_S)
        try:
            data = response.read(decode_content=True)
        except outside() as error:
            raise away(error) from error
        finally:
            response.release_conn()
        self._look_at_status(response)
        return answer(response, data, f"{method} {path}")

    @contextmanager
    def _stream(self, path: str, query: Json, patience_s: float) -> Iterator[Stream]:
        response = self._send("GET", path, query, None, "", patience_s)
        try:
            if response.status != 200:
                self._look_at_status(response)
                answer(response, response.read(decode_content=True), f"GET {path}")
            yield Stream(response)
        except outside() as error:
            raise away(error) from error
        finally:
            response.close()  # what was not read is not waited for

    def _look_at_status(self, response: Any) -> None:
        """Who is not known any more may have been given another token meanwhile, where the first one was found."""
        if response.status == UNAUTHORIZED:
            with suppress(ClusterRefused):
                self._client, _ = connect(self._settings)

    def _send(self, method: str, path: str, query: Json, body: Json | None, content: str, patience_s: float) -> Any:
        headers = {"Accept": "application/json", "Content-Type": content or "application/json"}
        try:
            _, url, headers, *_ = self._client.param_serialize(
                method, path, query_params=list(query.items()), header_params=headers, auth_settings=["BearerToken"]
            )
            sent = json.dumps(body).encode() if body is not None else None
            return self._client.rest_client.pool_manager.request(
                method,
                url,
                body=sent,
                headers=headers,
                timeout=timeout(patience_s),
                retries=False,
                preload_content=False,
            )
        except outside() as error:
            raise away(error) from error
