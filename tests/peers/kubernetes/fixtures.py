"""Fixtures for every test that needs Kubernetes: `tests/conftest.py` takes them in. Each such test carries the marker `kubernetes`.

One cluster and one node serve all tests of a process; what a test did to them is mended after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.peers.kubernetes import Cluster, Kubelet


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[Cluster]:
    """For fixtures of a session; tests take `cluster`."""
    from tests.peers.kubernetes import Cluster

    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def shared_kubelet(shared_cluster: Cluster) -> Iterator[Kubelet]:
    """For fixtures of a session; tests take `kubelet`."""
    from tests.peers import containers
    from tests.peers.kubernetes import Kubelet
    from tests.peers.kubernetes.mlrun_images import mlrun_images

    podman = None if containers.lacking() else containers.engine().environment
    with Kubelet(shared_cluster, images=mlrun_images(), podman=podman) as kubelet:
        yield kubelet


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Iterator[Cluster]:
    """The control plane; all its programs run again afterwards."""
    yield shared_cluster
    shared_cluster.mend()


@pytest.fixture
def kubelet(cluster: Cluster, shared_kubelet: Kubelet) -> Iterator[Kubelet]:
    """The node `node-0`, on which pods run; it behaves again afterwards."""
    yield shared_kubelet
    cluster.mend()
    shared_kubelet.mend()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """The name of a fresh namespace."""
    with cluster.namespace() as name:
        yield name
