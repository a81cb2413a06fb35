"""A container's environment: the image's, then the API server's address, then `envFrom`, then `env`, each over the last."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.peers.kubernetes.api import Document
from tests.peers.kubernetes.kubelet.node_api import Absent, NodeApi

_KINDS = {"secretRef": "secrets", "configMapRef": "configmaps"}
_KEY_KINDS = {"secretKeyRef": "secrets", "configMapKeyRef": "configmaps"}
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z0-9_.-]+)\)")


@dataclass(frozen=True)
class Facts:
    """What a pod can say of itself."""

    pod: Document
    node: str
    address: str

    def field(self, path: str) -> str:
        """The downward API: `metadata.labels['x']`, `spec.nodeName`, `status.podIP`, ..."""
        meta, spec = self.pod["metadata"], self.pod["spec"]
        for kind in ("labels", "annotations"):
            if path.startswith(f"metadata.{kind}['"):
                return str((meta.get(kind) or {}).get(path.split("'")[1], ""))
            if path == f"metadata.{kind}":
                return "\n".join(f'{key}="{value}"' for key, value in sorted((meta.get(kind) or {}).items()))
        return {
            "metadata.name": meta["name"],
            "metadata.namespace": meta["namespace"],
            "metadata.uid": meta["uid"],
            "spec.nodeName": self.node,
            "spec.serviceAccountName": spec.get("serviceAccountName", ""),
            "status.hostIP": "127.0.0.1",
            "status.podIP": self.address,
        }[path]


async def environment_of(container: Document, image: dict[str, str], facts: Facts, api: NodeApi) -> dict[str, str]:
    """Raises Absent, in kubelet's words, for what is missing and not optional."""
    meta, server = facts.pod["metadata"], urlsplit(api.server)
    namespace = meta["namespace"]
    found = {
        **image,
        "HOSTNAME": meta["name"],
        "KUBERNETES_SERVICE_HOST": str(server.hostname),
        "KUBERNETES_SERVICE_PORT": str(server.port),
    }
    for source in container.get("envFrom") or []:
        for field, kind in _KINDS.items():
            if field in source:
                data = await _data(api, kind, namespace, source[field])
                found |= {source.get("prefix", "") + key: value.decode() for key, value in data.items()}
    for variable in container.get("env") or []:
        value = await _value(variable, found, facts, api)
        if value is not None:
            found[variable["name"]] = value
    return found


def expand(text: str, environment: dict[str, str]) -> str:
    """`$(NAME)` is a variable's value where there is one, `$$` a dollar sign."""
    return _REFERENCE.sub(lambda hit: "$" if hit[1] is None else environment.get(hit[1], hit[0]), text)


async def _value(variable: Document, known: dict[str, str], facts: Facts, api: NodeApi) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return expand(variable.get("value", ""), known)
    if "fieldRef" in source:
        return facts.field(source["fieldRef"]["fieldPath"])
    namespace = facts.pod["metadata"]["namespace"]
    for field, kind in _KEY_KINDS.items():
        if field in source:
            reference = source[field]
            data = await _data(api, kind, namespace, reference)
            if reference["key"] in data:
                return data[reference["key"]].decode()
            if not reference.get("optional"):
                one = {"secrets": "Secret", "configmaps": "ConfigMap"}[kind]
                raise Absent(f"couldn't find key {reference['key']} in {one} {namespace}/{reference['name']}")
    return None


async def _data(api: NodeApi, kind: str, namespace: str, reference: Document) -> dict[str, bytes]:
    data = await api.data(kind, namespace, reference["name"])
    if data is None and not reference.get("optional"):
        raise Absent(f'{kind[:-1]} "{reference["name"]}" not found')
    return data or {}
