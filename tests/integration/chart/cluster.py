"""The cluster as an operator looks at it: helm with a kubeconfig, everything that is there, and what somebody may do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from docs.generate.chart_values import CHART
from tests.integration.chart.helm import RELEASE, Document, over, run
from tests.peers.kubernetes import Api, ApiError, Cluster
from tests.peers.kubernetes.tools import Pair

_WAIT_S = 60.0
# What Kubernetes itself keeps: notes of its controllers, and what each namespace has.
_ITS_OWN = {"events", "endpoints", "endpointslices", "leases", "replicasets", "pods", "controllerrevisions", "nodes", "componentstatuses"}  # fmt: skip


@dataclass(frozen=True)
class Operator:
    """`install`, `upgrade`, `rollback`, `uninstall` with one of the helms, in a namespace."""

    cluster: Cluster
    namespace: str
    version: Pair
    folder: Path

    def install(self, *values: Document, more: tuple[str, ...] = ()) -> str:
        return self._with("install", values, more)

    def upgrade(self, *values: Document, more: tuple[str, ...] = ()) -> str:
        return self._with("upgrade", values, more)

    def rollback(self, revision: int) -> str:
        return self._helm("rollback", RELEASE, str(revision))

    def uninstall(self) -> str:
        return self._helm("uninstall", RELEASE)

    def _with(self, verb: str, values: tuple[Document, ...], more: tuple[str, ...]) -> str:
        file = self.folder / "values.json"
        file.write_text(json.dumps(over(*values)))
        return self._helm(verb, RELEASE, str(CHART), "--values", str(file), *more)

    def _helm(self, *words: str) -> str:
        where = ("--namespace", self.namespace, "--kubeconfig", str(self.cluster.kubeconfig))
        return run(*words, *where, version=self.version)


@dataclass(frozen=True)
class Kind:
    """A resource as the API server lists it; `name` may be a subresource as `pods/log`."""

    root: str
    group: str
    name: str
    namespaced: bool
    verbs: tuple[str, ...]

    def path(self, namespace: str) -> str:
        return f"{self.root}/namespaces/{namespace}/{self.name}" if self.namespaced else f"{self.root}/{self.name}"


def kinds(api: Api) -> list[Kind]:
    """Everything that the cluster serves, in its preferred version."""
    groups = [("", "/api/v1")]
    groups += [(it["name"], f"/apis/{it['preferredVersion']['groupVersion']}") for it in api.get("/apis")["groups"]]
    return [
        Kind(root, group, it["name"], it["namespaced"], tuple(it["verbs"]))
        for group, root in groups
        for it in api.get(root)["resources"]
    ]


def present(api: Api, *namespaces: str) -> dict[tuple[str, str, str], Document]:
    """Every object in these namespaces, and of the whole cluster, by kind, namespace and name; without what Kubernetes keeps itself."""
    found: dict[tuple[str, str, str], Document] = {}
    for kind in kinds(api):
        if "/" in kind.name or "list" not in kind.verbs or kind.name in _ITS_OWN:
            continue
        for namespace in namespaces if kind.namespaced else ("",):
            for it in api.items(kind.path(namespace)):
                found[kind.name, namespace, it["metadata"]["name"]] = it
    return {key: it for key, it in found.items() if not _made_by_kubernetes(key, it)}


def _made_by_kubernetes(key: tuple[str, str, str], it: Document) -> bool:
    name, _, called = key
    token = name == "secrets" and it.get("type") == "kubernetes.io/service-account-token"
    usual = (name, called) in {("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt")}
    return token or usual


def eventually(look: Callable[[], Any], wanted: Any) -> None:
    """Wait until `look` gives `wanted`: what is deleted goes when its controllers have seen it."""
    deadline = time.monotonic() + _WAIT_S
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, f"{seen} instead of {wanted}"
        time.sleep(0.2)


def may(api: Api, verb: str, kind: Kind, namespace: str) -> bool:
    """Whether whoever asks may do it, by the cluster's own word."""
    resource, _, subresource = kind.name.partition("/")
    attributes = {"verb": verb, "group": kind.group, "resource": resource, "subresource": subresource}
    if namespace:
        attributes["namespace"] = namespace
    asked = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}  # fmt: skip
    answer = api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", asked)
    allowed: bool = answer["status"]["allowed"]
    return allowed


def calls(namespace: str) -> Iterator[tuple[str, str, str, str, Document | None]]:
    """A real call for each right of the table and for its nearest neighbours: resource, verb, method, path, body."""
    core, jobs = f"/api/v1/namespaces/{namespace}", f"/apis/batch/v1/namespaces/{namespace}/jobs"
    pod = {"containers": [{"name": "x", "image": "x"}], "restartPolicy": "Never"}
    bodies = {
        "jobs": {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "it"},
            "spec": {"template": {"spec": pod}},
        },
        "pods": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "it"}, "spec": pod},
        "secrets": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "it"}},
        "configmaps": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "it"}},
        "events": {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "it"}, "involvedObject": {}},
    }
    for resource, body in bodies.items():
        path = jobs if resource == "jobs" else f"{core}/{resource}"
        yield resource, "create", "POST", path, body
        yield resource, "get", "GET", f"{path}/it", None
        yield resource, "list", "GET", path, None
        yield resource, "watch", "GET", f"{path}?watch=1&timeoutSeconds=1", None
        yield resource, "update", "PUT", f"{path}/it", body
        yield resource, "patch", "PATCH", f"{path}/it", {"metadata": {"labels": {"a": "b"}}}
        yield resource, "delete", "DELETE", f"{path}/it", None
        yield resource, "deletecollection", "DELETE", f"{path}?labelSelector=nobody", None
    yield "pods/log", "get", "GET", f"{core}/pods/it/log", None
    yield "pods/exec", "create", "POST", f"{core}/pods/it/exec", None


def forbidden(api: Api, method: str, path: str, body: Document | None) -> bool:
    """Whether the call is refused for want of rights; what else it comes to (absent, there already) is no matter."""
    path, _, query = path.partition("?")
    parameters = dict(parse_qsl(query))
    try:
        match method:
            case "GET":
                api.text(path, **parameters)
            case "POST":
                api.post(path, body or {})
            case "PUT":
                api.put(path, body or {})
            case "PATCH":
                api.patch(path, body or {})
            case _:
                api.delete(path, **parameters)
    except ApiError as error:
        return error.status == 403
    return False
