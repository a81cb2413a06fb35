"""The service's own account in a namespace, with exactly the rights that the chart gives it."""

from __future__ import annotations

from service.launchers.kubernetes.rights import rules
from tests.peers.kubernetes.cluster import Cluster

NAME = "gitops"
_GROUP = "rbac.authorization.k8s.io"


def make_account(cluster: Cluster, namespace: str) -> str:
    """Its token. What is there stays as it is."""
    named = {"name": NAME, "namespace": namespace}
    token = cluster.service_account_token(namespace, NAME)
    cluster.apply(
        {"apiVersion": f"{_GROUP}/v1", "kind": "Role", "metadata": named, "rules": rules()},
        {
            "apiVersion": f"{_GROUP}/v1",
            "kind": "RoleBinding",
            "metadata": named,
            "roleRef": {"apiGroup": _GROUP, "kind": "Role", "name": NAME},
            "subjects": [{"kind": "ServiceAccount", **named}],
        },
    )
    return token
