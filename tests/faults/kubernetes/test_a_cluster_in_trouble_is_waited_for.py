"""A cluster that is not to be had for a while, to a whole service: what was acknowledged is made up for, and told once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stage import LONG_S, Stage, Team
from tests.peers.kubernetes import Cluster
from tests.peers.kubernetes.account import make_account
from tests.peers.kubernetes.meddler import Meddler
from tests.peers.service_process import wait_for

pytestmark = [
    pytest.mark.faults,
    pytest.mark.kubernetes,
    pytest.mark.runner,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

AWAY_S = 30.0  # at least
# A step ends when this file is there, so that a run lasts for as long as a test needs.
STEP = """\
import os
import time


def run(context, factor: int):
    while not os.path.exists({gate!r}):
        time.sleep(0.1)
    context.log_result('product', 21 * factor)
"""


class Trouble:
    """A team whose runs last until `let_go`."""

    def __init__(self, stage: Stage, gate: Path) -> None:
        self.stage, self.gate = stage, gate
        self.team: Team = stage.team()

    def push(self, factor: int) -> str:
        files = {**self.team.files(factor=factor), "double.py": STEP.format(gate=str(self.gate))}
        return self.team.push(files, f"Factor {factor}")

    def let_go(self) -> None:
        self.gate.touch()

    def running(self) -> Any:
        """The run, once it runs."""
        found: list[Any] = []

        def runs() -> bool:
            found[:] = self.stage.service.all("/runs", repository=self.team.name, state="running")
            return bool(found)

        wait_for(runs, LONG_S, lambda: f"a run to run\n{self.stage.service.tail()}")
        return found[0]

    def states(self) -> list[str]:
        """Of its runs that have ended or will, the oldest first."""
        return [run["state"] for run in self.team.runs()][::-1]

    def made_up_for(self, commit: str) -> None:
        sync = self.team.synced(commit)
        assert sync["state"] == "succeeded", (sync["error"], self.stage.service.tail())


@pytest.fixture
def trouble(launcher: dict[str, Any], open_path: Path) -> Iterator[Trouble]:
    # A folder of its own: what pods see of a hostPath is what is there.
    gates = open_path / "gates"
    gates.mkdir(mode=0o755)
    launcher["kubernetes"] |= {
        "volumes": [{"name": "gates", "hostPath": {"path": str(gates)}}],
        "volume_mounts": [{"name": "gates", "mountPath": str(gates), "readOnly": True}],
    }
    with Stage(open_path, launcher=launcher) as stage:
        yield Trouble(stage, gates / "open")


def test_a_run_ends_and_a_push_arrives_while_nobody_answers(trouble: Trouble, cluster: Cluster) -> None:
    """The end is told by the pod itself, so nobody waits for the API server to hear of it."""
    trouble.push(1)
    run = trouble.running()
    cluster.stop_apiserver()
    until = time.monotonic() + AWAY_S
    trouble.let_go()
    assert trouble.states() == ["succeeded"]  # the API server is not back before somebody starts it
    commit = trouble.push(2)
    wait_for(lambda: time.monotonic() > until, AWAY_S + 5, "the outage to have lasted")
    cluster.start_apiserver()
    trouble.made_up_for(commit)
    assert trouble.states() == ["succeeded", "succeeded"]
    wait_for(lambda: len(trouble.team.told("run.succeeded")) >= 2, LONG_S, "both messages")
    told = [message["run"]["id"] for message in trouble.team.told("run.succeeded")]
    assert len(told) == len(set(told)) == 2
    assert run["id"] in told


def test_a_token_is_revoked_and_another_is_given(
    trouble: Trouble, cluster: Cluster, namespace: str, meddler: Meddler, launcher: dict[str, Any]
) -> None:
    trouble.push(1)
    trouble.running()
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    (old,) = [
        secret
        for secret in cluster.api.items(secrets)
        if secret["metadata"].get("annotations", {}).get("kubernetes.io/service-account.name") == "gitops"
    ]
    cluster.api.delete(f"{secrets}/{old['metadata']['name']}")
    log = trouble.stage.service.log
    commit = trouble.push(2)
    wait_for(lambda: "does not know us (401)" in log.read_text(), LONG_S, "the service to be refused")
    trouble.let_go()
    wait_for(lambda: trouble.team.told("run.succeeded"), LONG_S, "the end of what was running")
    token = make_account(cluster, namespace)
    meddler.kubeconfig(Path(launcher["kubernetes"]["kubeconfig"]), token, namespace)
    trouble.made_up_for(commit)
    assert trouble.states() == ["succeeded", "succeeded"]


def test_a_quota_is_exceeded_and_lifted(trouble: Trouble, cluster: Cluster, namespace: str) -> None:
    quotas = f"/api/v1/namespaces/{namespace}/resourcequotas"
    cluster.api.post(quotas, {"metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}})
    cluster.api.wait_for(f"{quotas}/none", lambda quota: quota.get("status", {}).get("hard"))
    trouble.let_go()
    commit = trouble.push(1)
    log = trouble.stage.service.log
    wait_for(lambda: "exceeded quota" in log.read_text(), LONG_S, "the quota to be met")
    cluster.api.delete(f"{quotas}/none")
    trouble.made_up_for(commit)
    assert trouble.states() == ["succeeded"]


def test_its_namespace_is_removed_under_a_run_and_made_again(
    trouble: Trouble, cluster: Cluster, namespace: str, launcher: dict[str, Any], meddler: Meddler
) -> None:
    """What ran there is lost, and says why; what is pushed meanwhile waits for the namespace."""
    trouble.push(1)
    trouble.running()
    cluster.api.delete(f"/api/v1/namespaces/{namespace}")
    [lost] = trouble.team.runs()
    assert lost["state"] == "lost", lost
    assert "was deleted" in lost["reason"]
    trouble.let_go()
    commit = trouble.push(2)
    wait_for(lambda: _is_gone(cluster, namespace), LONG_S, "the namespace to be gone")
    cluster.api.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
    meddler.kubeconfig(Path(launcher["kubernetes"]["kubeconfig"]), make_account(cluster, namespace), namespace)
    trouble.made_up_for(commit)
    assert trouble.states() == ["lost", "succeeded"]


def _is_gone(cluster: Cluster, namespace: str) -> bool:
    return namespace not in [one["metadata"]["name"] for one in cluster.api.items("/api/v1/namespaces")]
