"""The fixture `mlrun_place`, one a module of tests: the server takes 20 s to start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.peers.kubernetes import Cluster, Kubelet
    from tests.peers.mlrun_api.place import MlrunPlace


@pytest.fixture(scope="module")
def mlrun_place(
    shared_cluster: Cluster, shared_kubelet: Kubelet, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlrunPlace]:
    """A module that takes it does not take `kubelet`, which would make the node forget MLRun's images."""
    from tests.peers.mlrun_api.place import mlrun_place

    with mlrun_place(shared_cluster, shared_kubelet, tmp_path_factory.mktemp("mlrun")) as place:
        yield place
