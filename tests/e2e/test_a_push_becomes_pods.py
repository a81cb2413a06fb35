"""The main job in a cluster: projects are loaded and workflows run as Jobs of a real control plane, by the service's own account."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stage import LONG_S, Stage, Team
from tests.peers.kubernetes import Cluster, Kubelet
from tests.peers.kubernetes.account import NAME, make_account
from tests.peers.service_process import wait_for

pytestmark = [pytest.mark.kubernetes, pytest.mark.runner, pytest.mark.slow]


@pytest.fixture
def pods(cluster: Cluster, kubelet: Kubelet, namespace: str) -> Iterator[Stage]:
    make_account(cluster, namespace)
    kubeconfig = cluster.service_account_kubeconfig(namespace, NAME)
    folder = Path(tempfile.mkdtemp(prefix="gitops-pods-"))
    folder.chmod(0o755)
    launcher = {
        "kind": "kubernetes",
        "load_timeout": "60s",
        "kubernetes": {"kubeconfig": str(kubeconfig), "namespace": namespace},
    }
    try:
        with Stage(folder, launcher=launcher) as stage:
            yield stage
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_log(stage: Stage, run: Any) -> str:
    return str(stage.service.get(f"/runs/{run['id']}/log")["text"])


def kept(cluster: Cluster, namespace: str) -> dict[str, int | None]:
    """How long each kind of Job stays."""
    made = cluster.api.get(f"/apis/batch/v1/namespaces/{namespace}/jobs")["items"]
    return {
        job["metadata"]["labels"]["mlrun-gitops.io/kind"]: job["spec"].get("ttlSecondsAfterFinished") for job in made
    }


def test_a_push_is_loaded_and_run_in_pods_and_told(pods: Stage, cluster: Cluster, namespace: str) -> None:
    team = pods.team()
    double = "def run(context, factor: int):\n    print('doubling', factor)\n    context.log_result('product', 21 * factor)\n"
    commit = team.push({**team.files(factor=2, cron="30 2 * * *"), "double.py": double})
    sync = team.synced(commit)
    assert sync["state"] == "succeeded", (sync["error"], pods.service.tail())
    assert team.schedules() == {"nightly": "30 2 * * *"}
    [run] = team.runs()
    assert (run["state"], run["launcher"], run["commit"]) == ("succeeded", "kubernetes", commit), run
    assert run["results"]["double-run"]["product"] == 42
    assert run["image"] == "docker.io/mlrun/mlrun-kfp:1.9.2"
    wait_for(lambda: "doubling" in read_log(pods, run), LONG_S, lambda: f"its log: {read_log(pods, run)!r}")
    wait_for(lambda: team.told("run.succeeded"), LONG_S, "the message")
    wait_for(
        lambda: kept(cluster, namespace) == {"load": 3600, "run": 3600}, LONG_S, lambda: str(kept(cluster, namespace))
    )


def test_a_broken_project_fails_with_the_words_of_its_pod(pods: Stage) -> None:
    team: Team = pods.team()
    files = {
        **team.files(),
        "workflow.py": "def pipeline():\n    raise ValueError('no data today')\n",
    }
    sync = team.synced(team.push(files))
    assert sync["state"] == "failed"
    assert "no data today" in sync["error"]["what"]
    assert 'File "workflow.py", line 2' in sync["error"]["detail"]
    assert team.runs() == []
