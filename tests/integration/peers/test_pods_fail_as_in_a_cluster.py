"""The Kubernetes peer fails as a cluster does: memory, eviction, deadlines, images, nodes, quotas, rights, the API server itself."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.peers.jobs import SHELL, bare_pod, ended, job, log_of, path_of_job, pod_of, terminated
from tests.peers.kubernetes import Api, ApiError, Cluster, Kubelet
from tests.peers.kubernetes.api import client_context

pytestmark = pytest.mark.kubernetes

# A process that allocates memory below another, which tells of its end.
_GREEDY = "python3 -c 'import time; x = bytearray(300 << 20); time.sleep(60)'; echo it ended with $?; exit 5"


def test_too_much_memory_kills_the_largest_process(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    cluster.apply(job(namespace, _GREEDY, resources={"limits": {"memory": "100Mi"}}))

    assert ended(cluster, namespace)["type"] == "Failed"
    pod = pod_of(cluster, namespace, phase="Failed")
    assert (terminated(pod)["reason"], terminated(pod)["exitCode"]) == ("OOMKilled", 5)
    assert "it ended with 137" in log_of(cluster, pod)


def test_memory_runs_out_on_command(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    pod = _sleeping(cluster, namespace)

    kubelet.run_out_of_memory(namespace, pod["metadata"]["name"])

    ended(cluster, namespace)
    how = terminated(pod_of(cluster, namespace, phase="Failed"))
    assert (how["reason"], how["exitCode"]) == ("OOMKilled", 137)


@pytest.mark.parametrize("bare", [False, True])
def test_an_evicted_pod_says_so(cluster: Cluster, kubelet: Kubelet, namespace: str, bare: bool) -> None:
    pod = _sleeping(cluster, namespace)

    kubelet.evict(namespace, pod["metadata"]["name"], bare=bare)

    assert ended(cluster, namespace)["type"] == "Failed"
    status = pod_of(cluster, namespace, phase="Failed")["status"]
    assert status["reason"] == "Evicted"
    assert status["message"].startswith("The node was low on resource: memory.")
    assert ("containerStatuses" in status) is not bare


def test_a_jobs_deadline_ends_its_pod(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    document = job(namespace, "exec sleep 600")
    document["spec"]["activeDeadlineSeconds"] = 1
    cluster.apply(document)

    assert ended(cluster, namespace)["reason"] == "DeadlineExceeded"
    _wait_for_no_pod(cluster, namespace)


def test_a_pods_own_deadline_ends_it(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    cluster.apply(job(namespace, "exec sleep 600", spec={"activeDeadlineSeconds": 1}))

    ended(cluster, namespace)
    assert pod_of(cluster, namespace, phase="Failed")["status"]["reason"] == "DeadlineExceeded"


def test_a_job_goes_when_its_time_is_over(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    document = job(namespace, "true")
    document["spec"]["ttlSecondsAfterFinished"] = 1
    cluster.apply(document)

    ended(cluster, namespace)
    cluster.api.wait_for(path_of_job(namespace).removesuffix("/one"), lambda it: not it["items"])
    _wait_for_no_pod(cluster, namespace)


def test_an_image_that_cannot_be_pulled_is_pulled_later(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    kubelet.make_unpullable(SHELL)
    cluster.apply(job(namespace, "echo here"))

    pod_of(cluster, namespace, waiting="ErrImagePull")
    pod_of(cluster, namespace, waiting="ImagePullBackOff")

    kubelet.make_pullable(SHELL)
    assert ended(cluster, namespace)["type"] == "Complete"


def test_an_unknown_image_is_never_there(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    cluster.apply(job(namespace, "true", image="registry.test/nothing:1", imagePullPolicy="Never"))

    pod_of(cluster, namespace, waiting="ErrImageNeverPull")


def test_a_node_that_falls_silent_loses_its_pods(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    pod = _sleeping(cluster, namespace)
    path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"

    with Kubelet(cluster, "node-1"):  # no cluster gives up the pods of its last node
        kubelet.stop()

        cluster.api.wait_for("/api/v1/nodes/node-0", lambda it: _condition(it, "Ready") == "Unknown", 60)
        cluster.api.wait_for(path, lambda it: _condition(it, "Ready") == "False", 60)
        with pytest.raises(ApiError, match="connection refused"):
            log_of(cluster, pod)
        given_up = cluster.api.wait_for(path, lambda it: it["metadata"].get("deletionTimestamp"), 60)
        assert given_up["status"]["phase"] == "Running"
        # Whatever its backoffLimit, the Job has another pod made: one that is deleted does not count as failed.
        pods = cluster.api.wait_for(
            f"/api/v1/namespaces/{namespace}/pods",
            lambda it: {one["spec"].get("nodeName") for one in it["items"]} == {"node-0", "node-1"},
            60,
        )
        assert {one["status"]["phase"] for one in pods["items"]} <= {"Running", "Pending"}

    kubelet.start()
    kubelet.wait_ready()


def test_a_lost_node_is_named_as_controllers_do(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    pod = _sleeping(cluster, namespace)

    kubelet.lose(namespace, pod["metadata"]["name"])

    assert pod_of(cluster, namespace, phase="Running")["status"]["reason"] == "NodeLost"


def test_nothing_is_lost_while_the_api_server_is_away(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    cluster.apply(job(namespace, "sleep 2; echo done"))
    pod = pod_of(cluster, namespace, phase="Running")
    pid = kubelet.pids(namespace, pod["metadata"]["name"])["c"]

    cluster.stop_apiserver()
    with pytest.raises(httpx.ConnectError):
        cluster.api.get("/api/v1/nodes")
    _wait_until_gone(pid)
    cluster.start_apiserver()

    assert ended(cluster, namespace)["type"] == "Complete"
    assert log_of(cluster, pod) == "done\n"


def test_a_quota_refuses_pods(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "0"}}}
    cluster.api.post(f"/api/v1/namespaces/{namespace}/resourcequotas", quota)
    cluster.api.wait_for(
        f"/api/v1/namespaces/{namespace}/resourcequotas/few", lambda it: it.get("status", {}).get("hard")
    )
    cluster.apply(job(namespace, "true"))

    events = cluster.api.wait_for(
        f"/api/v1/namespaces/{namespace}/events", lambda it: any(one["reason"] == "FailedCreate" for one in it["items"])
    )
    assert "exceeded quota: few" in json.dumps(events)


def test_what_fits_nowhere_is_unschedulable(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    cluster.apply(job(namespace, "true", resources={"requests": {"cpu": "100000"}}))

    pod = pod_of(cluster, namespace, phase="Pending")
    path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
    pod = cluster.api.wait_for(path, lambda it: _condition(it, "PodScheduled") == "False")
    (why,) = (one for one in pod["status"]["conditions"] if one["type"] == "PodScheduled")
    assert why["reason"] == "Unschedulable"


def test_a_service_account_may_what_its_role_says(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    token = cluster.service_account_token(namespace, "runner")
    meta = {"name": "runner", "namespace": namespace}
    rules = [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get"]}]
    group = "rbac.authorization.k8s.io"
    who = {"kind": "ServiceAccount", **meta}
    role = {"apiGroup": group, "kind": "Role", "name": "runner"}
    cluster.apply(
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta, "rules": rules},
        {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": meta, "roleRef": role, "subjects": [who]},
    )

    with Api(cluster.server, client_context(cluster.authority.certificate, None), token) as api:
        jobs, _, _ = path_of_job(namespace).rpartition("/")
        api.post(jobs, job(namespace, "true"))
        assert api.get(path_of_job(namespace))["metadata"]["name"] == "one"
        for path in (jobs, f"/api/v1/namespaces/{namespace}/secrets", path_of_job("default")):
            with pytest.raises(ApiError) as refused:
                api.get(path)
            assert refused.value.status == 403


def test_who_writes_on_an_old_version_is_refused(cluster: Cluster, namespace: str) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    lease = cluster.api.post(path, {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "one"}})
    taken = {**lease, "spec": {"holderIdentity": "two"}}
    cluster.api.put(f"{path}/leader", taken)

    with pytest.raises(ApiError) as conflict:
        cluster.api.put(f"{path}/leader", {**lease, "spec": {"holderIdentity": "three"}})

    assert (conflict.value.status, conflict.value.reason) == (409, "Conflict")
    assert cluster.api.get(f"{path}/leader")["spec"]["holderIdentity"] == "two"


def test_a_pod_that_is_deleted_ends_within_its_grace(cluster: Cluster, kubelet: Kubelet, namespace: str) -> None:
    # Process 1 hears no SIGTERM that it has not asked for, so it takes the SIGKILL.
    path = f"/api/v1/namespaces/{namespace}/pods"
    cluster.apply(bare_pod(namespace, "exec sleep 600"))
    cluster.api.wait_for(f"{path}/bare", lambda it: it["status"]["phase"] == "Running")
    pid = kubelet.pids(namespace, "bare")["c"]

    cluster.api.delete(f"{path}/bare")

    _wait_for_no_pod(cluster, namespace)
    assert not Path(f"/proc/{pid}").exists()


def _sleeping(cluster: Cluster, namespace: str) -> dict[str, Any]:
    cluster.apply(job(namespace, "exec sleep 600"))
    return pod_of(cluster, namespace, phase="Running")


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _condition(document: dict[str, Any], kind: str) -> str:
    conditions = {one["type"]: one["status"] for one in document["status"].get("conditions", [])}
    return str(conditions.get(kind))


def _wait_for_no_pod(cluster: Cluster, namespace: str) -> None:
    cluster.api.wait_for(f"/api/v1/namespaces/{namespace}/pods", lambda it: not it["items"])
