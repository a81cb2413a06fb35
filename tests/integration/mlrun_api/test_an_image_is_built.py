"""MLRun 1.5.2 in a cluster is asked for an image: it makes a pod of Kaniko with our base, our packages and our name.

There is no Kaniko and no registry here, so that the pod never ends: what is seen is what MLRun makes of the request.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.domain.image_build import ImageBuild
from service.errors import MlrunRefused
from service.mlrun_api import MlrunApi
from service.settings import Mlrun, Settings
from tests.peers.kubernetes import Cluster, Kubelet
from tests.peers.mlrun_api import MlrunApi as Peer

pytestmark = [pytest.mark.mlrun_api, pytest.mark.kubernetes, pytest.mark.slow]

REGISTRY = "registry.example.com"
BUILD = ImageBuild(project="fraud", base_image="docker.io/mlrun/mlrun-kfp:1.9.2", requirements=("iniconfig==2.0.0",))


@pytest.fixture
def mlrun(cluster: Cluster, kubelet: Kubelet, namespace: str, tmp_path: Path) -> Iterator[MlrunApi]:
    with Peer(cluster, namespace, {"MLRUN_HTTPDB__BUILDER__DOCKER_REGISTRY": REGISTRY}) as peer:
        api = MlrunApi(Settings(data_dir=tmp_path, mlrun=Mlrun(api=peer.url)))
        yield api
        api.close()


def builder(cluster: Cluster, namespace: str) -> dict[str, Any]:
    pods = cluster.api.items(f"/api/v1/namespaces/{namespace}/pods")
    (pod,) = [pod for pod in pods if "mlrun-build" in pod["metadata"]["name"]]
    found: dict[str, Any] = pod
    return found


def test_kaniko_is_started_as_asked(mlrun: MlrunApi, cluster: Cluster, namespace: str) -> None:
    mlrun.put_project("fraud", {"metadata": {"name": "fraud"}, "spec": {}})
    assert mlrun.build_state("fraud", BUILD.name) is None
    begun = mlrun.build(BUILD.request())
    assert begun.goes_on
    spec = builder(cluster, namespace)["spec"]
    (kaniko,) = spec["containers"]
    assert f"{REGISTRY}/mlrun-gitops-fraud:{BUILD.key}" in kaniko["args"]
    written = {one["name"]: one.get("value", "") for one in spec["initContainers"][0]["env"]}
    assert f"FROM {BUILD.base_image}\n" in b64decode(written["DOCKERFILE"]).decode()
    assert b64decode(written["REQUIREMENTS"]).decode().splitlines() == BUILD.pip
    state = mlrun.build_state("fraud", BUILD.name)
    assert state is not None
    assert state.goes_on
    assert state.image.endswith(f"mlrun-gitops-fraud:{BUILD.key}")


def test_without_a_project_it_is_refused(mlrun: MlrunApi) -> None:
    with pytest.raises(MlrunRefused):
        mlrun.build({"function": {}})
