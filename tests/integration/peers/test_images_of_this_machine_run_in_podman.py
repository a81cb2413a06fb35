"""With podman, pods with an image of this machine are real containers of it."""

from __future__ import annotations

import pytest

from tests.integration.peers.jobs import bare_pod, ended, job, log_of, pod_of, terminated
from tests.peers import containers
from tests.peers.containers.debian import DEBIAN, ensure_debian
from tests.peers.kubernetes import Cluster, Kubelet

pytestmark = [pytest.mark.kubernetes, pytest.mark.container]


@pytest.fixture(scope="module", autouse=True)
def debian() -> None:
    ensure_debian(containers.engine())


def test_a_job_runs_as_whom_it_says_with_its_volumes(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    cluster.api.post(
        f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "key"}, "stringData": {"token": "s3cret"}}
    )
    pod = {
        "securityContext": {"runAsUser": 1234, "fsGroup": 777},
        "volumes": [{"name": "key", "secret": {"secretName": "key", "defaultMode": 0o440}}],
    }
    script = 'pwd; id -u; id -G; cat /key/token; echo; echo "$WORD" "$TMPDIR" "$LANG"; touch /here 2>/dev/null || echo read-only; exit 3'
    cluster.apply(
        job(
            namespace,
            script,
            spec=pod,
            image=DEBIAN,
            # Also variables that podman itself has, or would listen to.
            env=[
                {"name": name, "value": value}
                for name, value in {"WORD": "of mine", "TMPDIR": "/not/there", "LANG": "xx"}.items()
            ],
            volumeMounts=[{"name": "key", "mountPath": "/key"}],
            workingDir="/key",
            securityContext={"readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        )
    )

    ended(cluster, namespace)
    ran = pod_of(cluster, namespace, phase="Failed")
    assert terminated(ran)["exitCode"] == 3
    assert log_of(cluster, ran) == "/key\n1234\n0 777\ns3cret\nof mine /not/there xx\nread-only\n"


def test_a_container_over_its_memory_is_killed(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    greedy = "exec perl -e '$x = \"a\" x 300000000; sleep 60'"
    cluster.apply(job(namespace, greedy, image=DEBIAN, resources={"limits": {"memory": "50Mi"}}))

    ended(cluster, namespace)
    how = terminated(pod_of(cluster, namespace, phase="Failed"))
    assert (how["reason"], how["exitCode"]) == ("OOMKilled", 137)


def test_a_container_ends_when_its_pod_is_deleted(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    cluster.apply(bare_pod(namespace, "exec sleep 600", image=DEBIAN))
    path = f"/api/v1/namespaces/{namespace}/pods"
    pod = cluster.api.wait_for(f"{path}/bare", lambda it: it["status"]["phase"] == "Running")

    cluster.api.delete(f"{path}/bare")
    cluster.api.wait_for(path, lambda it: not it["items"])

    left = containers.engine().podman("ps", "--all", "--format", "{{.Names}}").stdout
    assert pod["metadata"]["uid"] not in left


def test_an_image_that_is_not_there_cannot_be_pulled(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    cluster.apply(job(namespace, "true", image="localhost/no-such-image:1"))

    pod_of(cluster, namespace, waiting="ErrImagePull")


def test_a_command_that_is_not_there_is_told(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    cluster.apply(job(namespace, "", command=["no-such-program"], image=DEBIAN))

    ended(cluster, namespace)
    how = terminated(pod_of(cluster, namespace, phase="Failed"))
    assert (how["exitCode"], how["reason"]) == (128, "StartError")
