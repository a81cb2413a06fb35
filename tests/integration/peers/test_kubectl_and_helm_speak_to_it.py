"""kubectl and helm, old and new, work on the peer."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.peers.jobs import ended, job, path_of_job
from tests.peers.kubernetes import Cluster, Kubelet, tools

pytestmark = [pytest.mark.kubernetes, pytest.mark.helm]


@pytest.mark.parametrize("pair", tools.PAIRS)
def test_kubectl_follows_a_log(cluster: Cluster, kubelet: Kubelet, namespace: str, pair: tools.Pair) -> None:
    cluster.apply(job(namespace, "for i in 1 2 3; do echo line $i; sleep 0.2; done"))

    # Before a pod is on a node its log is empty, and before its container runs it is refused; kubectl waits for neither.
    cluster.api.wait_for(path_of_job(namespace), lambda _: _begun(cluster, namespace))
    said = _call(
        cluster,
        tools.kubectl(pair),
        "logs",
        "--follow",
        "--namespace",
        namespace,
        "job/one",
    )

    assert said == "line 1\nline 2\nline 3\n"
    assert ended(cluster, namespace)["type"] == "Complete"
    nodes = json.loads(_call(cluster, tools.kubectl(pair), "get", "nodes", "-o", "json"))
    assert [node["metadata"]["name"] for node in nodes["items"]] == ["node-0"]


@pytest.mark.parametrize("pair", tools.PAIRS)
def test_helm_installs_and_removes(cluster: Cluster, namespace: str, tmp_path: Path, pair: tools.Pair) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: tiny, version: 0.1.0}")
    manifest = "{apiVersion: v1, kind: ConfigMap, metadata: {name: {{ .Release.Name }}}, data: {k: v}}"
    (tmp_path / "templates" / "one.yaml").write_text(manifest)
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    _call(cluster, tools.helm(pair), "install", "tiny", str(tmp_path), "--namespace", namespace)
    assert cluster.api.get(f"{path}/tiny")["data"] == {"k": "v"}

    _call(cluster, tools.helm(pair), "uninstall", "tiny", "--namespace", namespace)
    assert "tiny" not in {one["metadata"]["name"] for one in cluster.api.items(path)}


def _begun(cluster: Cluster, namespace: str) -> bool:
    (pod,) = cluster.api.items(f"/api/v1/namespaces/{namespace}/pods") or [{"status": {}}]
    return pod["status"].get("phase") in ("Running", "Succeeded")


def _call(cluster: Cluster, program: Path, *words: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(cluster.folder), "KUBECONFIG": str(cluster.kubeconfig)}
    done = subprocess.run([program, *words], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
