"""The Kubernetes peer runs Jobs for real: their programs, exit codes, logs, files and users."""

from __future__ import annotations

import pytest

from tests.integration.peers.jobs import ended, job, log_of, pod_of, terminated
from tests.peers.kubernetes import Cluster, Kubelet

pytestmark = pytest.mark.kubernetes


def test_a_job_runs_and_its_log_is_kept(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    cluster.apply(job(namespace, "echo hello; echo trouble >&2"))

    assert ended(cluster, namespace)["type"] == "Complete"
    assert log_of(cluster, pod_of(cluster, namespace, phase="Succeeded")) == "hello\ntrouble\n"


# Kubernetes makes $ of $$.
@pytest.mark.parametrize(
    ("script", "code"), [("exit 3", 3), ("kill -9 $$$$; exit 4", 4), ("sh -c 'kill -9 $$$$'; exit $?", 137)]
)
def test_exit_codes_are_told(cluster: Cluster, kubelet: Kubelet, namespace: str, script: str, code: int) -> None:
    cluster.apply(job(namespace, script))

    assert ended(cluster, namespace)["reason"] == "BackoffLimitExceeded"
    how = terminated(pod_of(cluster, namespace, phase="Failed"))
    assert (how["exitCode"], how["reason"]) == (code, "Error")
