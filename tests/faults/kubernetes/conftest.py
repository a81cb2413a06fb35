"""A cluster that a service may use, with a proxy between them that spoils what it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.kubernetes import Cluster, Kubelet
from tests.peers.kubernetes.account import make_account
from tests.peers.kubernetes.meddler import Meddler


@pytest.fixture
def meddler(cluster: Cluster, kubelet: Kubelet) -> Iterator[Meddler]:
    with Meddler(cluster) as meddler:
        yield meddler


@pytest.fixture
def launcher(cluster: Cluster, namespace: str, meddler: Meddler, open_path: Path) -> dict[str, Any]:
    """Settings for a service of this cluster, which it reaches through `meddler`."""
    kubeconfig = meddler.kubeconfig(open_path / "kubeconfig", make_account(cluster, namespace), namespace)
    return {
        "kind": "kubernetes",
        "load_timeout": "5m",
        "kubernetes": {"kubeconfig": str(kubeconfig), "namespace": namespace, "keep": 60},
    }
