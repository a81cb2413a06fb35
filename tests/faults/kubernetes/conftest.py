"""A cluster that a service may use, with a proxy between them that spoils what it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
def allow(cluster: Cluster, namespace: str) -> Callable[[], str]:
    """Makes the service's account in the namespace, with the rights that the chart gives; its token."""

    def make() -> str:
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
        return token

    return make


@pytest.fixture
def launcher(namespace: str, meddler: Meddler, open_path: Path, allow: Callable[[], str]) -> dict[str, Any]:
    """Settings for a service of this cluster, which it reaches through `meddler`."""
    kubeconfig = meddler.kubeconfig(open_path / "kubeconfig", allow(), namespace)
    return {
        "kind": "kubernetes",
        "load_timeout": "5m",
        "kubernetes": {"kubeconfig": str(kubeconfig), "namespace": namespace, "keep": 60},
    }
