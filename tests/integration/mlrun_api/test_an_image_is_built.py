"""MLRun 1.5.2 in a cluster is asked for an image: it makes a pod of Kaniko with our base, our packages and our name.

There is no Kaniko and no registry here. Where a test needs the pod's end, a program stands in for Kaniko that prints the files it is given, and
fails where they name what no index has; what MLRun makes of the request, of the pod and of its log is MLRun's own.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.domain.image_build import ImageBuild
from service.errors import MlrunRefused
from service.mlrun_api import MlrunApi
from service.settings import Mlrun, Settings
from service.targets.mlrun import MlrunImages, Outlook, Stand
from tests.peers.kubernetes import Cluster, Image, Kubelet
from tests.peers.mlrun_api import MlrunApi as Peer
from tests.waiting import until

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


@pytest.fixture
def kaniko(kubelet: Kubelet) -> Iterator[None]:
    program = "cat /empty/Dockerfile /empty/requirements.txt; ! grep -q nonesuch /empty/requirements.txt"
    images = {
        "alpine:*": Image(),
        "gcr.io/kaniko-project/executor:*": Image(entrypoint=("sh", "-c", program, "executor")),
    }
    kubelet.know(images)
    yield
    kubelet.forget(*images)


def end_of(images: MlrunImages, build: ImageBuild) -> Stand:
    """How its builder ended, with all that was printed."""
    found: list[Stand | None] = []

    def ended() -> bool:
        found.append(images.look(build))
        return found[-1] is not None and found[-1].outlook is not Outlook.GOES_ON

    until(ended, "the builder to end", 120)
    assert found[-1] is not None
    return found[-1]


@pytest.mark.usefixtures("kaniko")
def test_what_is_built_has_its_whole_name_and_leaves_no_function(mlrun: MlrunApi) -> None:
    images = MlrunImages(mlrun)
    mlrun.put_project("fraud", {"metadata": {"name": "fraud"}, "spec": {}})
    assert images.begin(BUILD, None, lambda: None).outlook is Outlook.GOES_ON
    ended = end_of(images, BUILD)
    assert (ended.outlook, ended.image) == (Outlook.READY, f"{REGISTRY}/mlrun-gitops-fraud:{BUILD.key}")
    assert f"FROM {BUILD.base_image}" in ended.log.decode()
    assert BUILD.pip == ended.log.decode().split("\n")[-len(BUILD.pip) :]
    again = images.look(BUILD, ended.read - len("==2.0.0"))
    assert again is not None and again.log == b"==2.0.0"
    images.tidy(BUILD, lambda: None)
    images.tidy(BUILD, lambda: None)
    assert images.look(BUILD) is None
    assert mlrun.functions("fraud") == {}


@pytest.mark.usefixtures("kaniko")
def test_a_builder_that_fails_is_a_failed_build_with_its_log(mlrun: MlrunApi) -> None:
    images, build = MlrunImages(mlrun), replace(BUILD, requirements=("nonesuch==1",))
    mlrun.put_project("fraud", {"metadata": {"name": "fraud"}, "spec": {}})
    images.begin(build, None, lambda: None)
    ended = end_of(images, build)
    assert (ended.outlook, ended.said) == (Outlook.FAILED, "error")
    assert ended.log.decode().endswith("nonesuch==1")


def test_without_a_project_it_is_refused(mlrun: MlrunApi) -> None:
    with pytest.raises(MlrunRefused):
        mlrun.build({"function": {}})
