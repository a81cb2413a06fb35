"""How the cluster is reached: as kubeconfig or service account say, with what can go wrong in our own errors.

The client's part is what is hard about it: kubeconfig with all its ways to sign in, and the service account's token, which changes every hour
and is read again. `kubernetes` is imported here alone, and only when it is needed, since it takes a second.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from service import limits
from service.errors import ClusterAway, ClusterRefused
from service.settings import Kubernetes

Json = dict[str, Any]

# To reach the server, and then to have its answer.
_CONNECT_S = 2.0
READ_S = limits.OUTSIDE_WRITE_TIMEOUT_S - _CONNECT_S
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# Connections that are kept: a thread each, and most of them follow a log.
_CONNECTIONS = 100
UNAUTHORIZED, _TOO_MANY = 401, 429
_SERVER_ERROR = 500


def connect(settings: Kubernetes) -> tuple[Any, str]:
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
    except (ConfigException, OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        mend = "set launcher.kubernetes.kubeconfig, or run the service in the cluster with a service account"
        raise ClusterRefused(f"no cluster is configured: {error}", mend=mend) from error
    configuration.retries = False
    configuration.connection_pool_maxsize = _CONNECTIONS
    return client.ApiClient(configuration), namespace


def timeout(read_s: float) -> Any:
    from urllib3 import Timeout

    return Timeout(connect=_CONNECT_S, read=read_s)


def outside() -> tuple[type[Exception], ...]:
    """What says that the server was not reached, or did not end its answer."""
    from kubernetes.client.exceptions import ApiException
    from kubernetes.config.config_exception import ConfigException
    from urllib3.exceptions import HTTPError

    return (HTTPError, ApiException, ConfigException, OSError)


def away(error: BaseException) -> ClusterAway:
    return ClusterAway(f"the cluster's API server does not answer: {type(error).__name__}", detail=str(error)[:2000])


def answer(response: Any, data: bytes, what: str) -> Json:
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
    if response.status == UNAUTHORIZED:
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
