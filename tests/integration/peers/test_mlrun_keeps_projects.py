"""The MLRun API server as a peer: alone, and with a cluster to run pods in."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.peers.kubernetes import Cluster, Kubelet
from tests.peers.mlrun_api import VERSION, MlrunApi

pytestmark = pytest.mark.mlrun_api


def test_a_project_is_stored_and_read() -> None:
    with MlrunApi() as mlrun:
        assert _get(mlrun, "client-spec")["version"] == VERSION
        _store_project(mlrun, "fraud")

        assert _get(mlrun, "projects/fraud")["spec"]["description"] == "finds it"


@pytest.mark.kubernetes
def test_in_a_cluster_it_keeps_secrets_there(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    with MlrunApi(cluster, namespace) as mlrun:
        _store_project(mlrun, "fraud")
        secret = {"provider": "kubernetes", "secrets": {"GIT_TOKEN": "t0ken"}}
        httpx.post(f"{mlrun.url}/api/v1/projects/fraud/secrets", json=secret, trust_env=False).raise_for_status()

        names = [one["metadata"]["name"] for one in cluster.api.items(f"/api/v1/namespaces/{namespace}/secrets")]
        assert "mlrun-project-secrets-fraud" in names


def _store_project(mlrun: MlrunApi, name: str) -> None:
    project = {"metadata": {"name": name}, "spec": {"description": "finds it"}}
    httpx.post(f"{mlrun.url}/api/v1/projects", json=project, trust_env=False, timeout=30).raise_for_status()


def _get(mlrun: MlrunApi, path: str) -> dict[str, Any]:
    answer = httpx.get(f"{mlrun.url}/api/v1/{path}", trust_env=False, timeout=30)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
