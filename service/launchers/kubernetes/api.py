"""The API server of the cluster: JSON in, JSON out, a timeout on every call, and our own errors. The one user of `kubernetes`.

Objects stay the dicts that Kubernetes speaks. The client's part is what is hard about it: kubeconfig with all its ways to
sign in, and the service account's token, which changes every hour and is read again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service import limits
from service.errors import ClusterAway, ClusterRefused
from service.launchers.kubernetes.names import CONTAINER
from service.settings import Kubernetes

Json = dict[str, Any]

# To reach the server, and then to have its answer.
_CONNECT_S = 5.0
_READ_S = limits.OUTSIDE_WRITE_TIMEOUT_S - _CONNECT_S
_PAGE = 500
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# Connections that are kept: a thread each, and most of them follow a log.
_CONNECTIONS = 100
_MERGE = "application/merge-patch+json"
_TOO_MANY, _UNAUTHORIZED = 429, 401
NOT_FOUND, CONFLICT, EXPIRED, FORBIDDEN = 404, 409, 410, 403
_SERVER_ERROR = 500

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
        self._client, found = _connect(settings)
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

    def delete(self, kind: str, name: str, *, propagation: str = "Background", grace_s: int | None = None) -> bool:
        """False where there is none."""
        body: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
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
        answer = self._call("POST", path, body=review)
        return bool(answer.get("status", {}).get("allowed"))

    def version(self) -> str:
        return str(self._call("GET", "/version").get("gitVersion", "unknown"))

    def close(self) -> None:
        self._client.rest_client.close()

    def _path(self, kind: str, name: str = "") -> str:
        return f"{_PATHS[kind]}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    def _call(
        self, method: str, path: str, *, query: Json | None = None, body: Json | None = None, content: str = ""
    ) -> Json:
        response = self._send(method, path, query or {}, body, content, _READ_S)
        try:
            data = response.read(decode_content=True)
        except _outside() as error:
            raise _away(error) from error
        finally:
            response.release_conn()
        return _answer(response, data, f"{method} {path}")

    @contextmanager
    def _stream(self, path: str, query: Json, patience_s: float) -> Iterator[Stream]:
        response = self._send("GET", path, query, None, "", patience_s)
        try:
            if response.status != 200:
                _answer(response, response.read(decode_content=True), f"GET {path}")
            yield Stream(response)
        except _outside() as error:
            raise _away(error) from error
        finally:
            response.close()  # what was not read is not waited for

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
                timeout=_timeout(patience_s),
                retries=False,
                preload_content=False,
            )
        except _outside() as error:
            raise _away(error) from error


def _connect(settings: Kubernetes) -> tuple[Any, str]:
    """The client, and the namespace that its configuration names."""
    from kubernetes import client
    from kubernetes import config as untyped
    from kubernetes.config.config_exception import ConfigException

    config: Any = untyped
    configuration = client.Configuration()
    try:
        if settings.kubeconfig is None:
            config.load_incluster_config(configuration)
            namespace = (_SERVICE_ACCOUNT / "namespace").read_text().strip()
        else:
            path = str(settings.kubeconfig)
            config.load_kube_config(path, context=settings.context, client_configuration=configuration)
            contexts, current = config.list_kube_config_contexts(path)
            named = next((one for one in contexts if one["name"] == settings.context), current)
            namespace = named["context"].get("namespace", "default")
    except (ConfigException, OSError, KeyError, TypeError) as error:
        mend = "set launcher.kubernetes.kubeconfig, or run the service in the cluster with a service account"
        raise ClusterRefused(f"no cluster is configured: {error}", mend=mend) from error
    configuration.retries = False
    configuration.connection_pool_maxsize = _CONNECTIONS
    return client.ApiClient(configuration), namespace


def _timeout(read_s: float) -> Any:
    from urllib3 import Timeout

    return Timeout(connect=_CONNECT_S, read=read_s)


def _outside() -> tuple[type[Exception], ...]:
    """What says that the server was not reached, or did not end its answer."""
    from kubernetes.client.exceptions import ApiException
    from kubernetes.config.config_exception import ConfigException
    from urllib3.exceptions import HTTPError

    return (HTTPError, ApiException, ConfigException, OSError)


def _away(error: BaseException) -> ClusterAway:
    return ClusterAway(f"the cluster's API server does not answer: {type(error).__name__}", detail=str(error)[:2000])


def _answer(response: Any, data: bytes, what: str) -> Json:
    """The body of a good answer. Raises what a bad one says."""
    try:
        body = json.loads(data) if data else {}
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    if 200 <= response.status < 300:
        return body
    said = str(body.get("message") or data[:300].decode("utf-8", "replace") or response.reason)
    if response.status == _UNAUTHORIZED:
        mend = "look at the service account's token or the kubeconfig; it goes on by itself when it is let in again"
        raise ClusterAway(f"the cluster's API server does not know us (401): {said}", mend=mend, answer=401)
    if response.status == _TOO_MANY or response.status >= _SERVER_ERROR:
        wait_s = _seconds(response.headers)
        raise ClusterAway(
            f"the cluster's API server could not do it ({response.status}): {said}",
            answer=response.status,
            retry_after_s=wait_s,
        )
    raise ClusterRefused(
        f"the cluster refused {what} ({response.status}): {said}",
        answer=response.status,
        reason=str(body.get("reason", "")),
    )


def _seconds(headers: Mapping[str, str]) -> float:
    """Retry-After, which Kubernetes gives in seconds; no longer than a minute, so that nobody puts us to sleep."""
    try:
        return max(0.0, min(60.0, float(headers.get("Retry-After", "0"))))
    except ValueError:
        return 0.0
