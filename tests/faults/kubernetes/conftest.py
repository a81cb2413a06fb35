"""A cluster that a service may use, with a proxy between them that spoils what it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.launchers.kubernetes.rights import rules
from tests.integration.launchers.kubernetes.meddler import Meddler
from tests.peers.kubernetes import Cluster, Kubelet


@pytest.fixture
def meddler(cluster: Cluster, kubelet: Kubelet) -> Iterator[Meddler]:
    with Meddler(cluster) as meddler:
        yield meddler


@pytest.fixture
def launcher(cluster: Cluster, namespace: str, meddler: Meddler, open_path: Path) -> dict[str, Any]:
    """Settings for a service of this cluster, with the rights that the chart gives, reaching it through `meddler`."""
    rbac, named = "rbac.authorization.k8s.io", {"name": "gitops", "namespace": namespace}
    role = {"apiGroup": rbac, "kind": "Role", "name": "gitops"}
    token = cluster.service_account_token(namespace, "gitops")
    cluster.apply(
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": named, "rules": rules()},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": named,
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", **named}],
        },
    )
    kubeconfig = meddler.kubeconfig(open_path / "kubeconfig", token, namespace)
    return {
        "kind": "kubernetes",
        "load_timeout": "5m",
        "kubernetes": {"kubeconfig": str(kubeconfig), "namespace": namespace, "keep": 60},
    }
