"""Small Jobs for the tests of the Kubernetes peer."""

from __future__ import annotations

from typing import Any

from tests.peers.kubernetes import Cluster

SHELL = "registry.test/shell:1"


def job(namespace: str, script: str, *, name: str = "one", spec: dict[str, Any] | None = None, **container: Any):
    """A Job of one shell script. `spec` goes over the pod's spec, `container` over the container's."""
    one = {"name": "c", "image": SHELL, "command": ["sh", "-c", script], **container}
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [one], **(spec or {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def bare_pod(namespace: str, script: str, *, image: str = SHELL) -> dict[str, Any]:
    """The Job's pod without the Job, which would have another one made for it when it is deleted."""
    spec = job(namespace, script, image=image)["spec"]["template"]["spec"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "namespace": namespace}, "spec": spec}


def path_of_job(namespace: str, name: str = "one") -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"


def ended(cluster: Cluster, namespace: str, name: str = "one") -> dict[str, Any]:
    """The Job when it has ended: its one condition."""
    job = cluster.api.wait_for(path_of_job(namespace, name), lambda it: it["status"].get("conditions"))
    condition: dict[str, Any] = job["status"]["conditions"][0]
    return condition


def pod_of(
    cluster: Cluster, namespace: str, name: str = "one", *, phase: str = "", waiting: str = ""
) -> dict[str, Any]:
    """The Job's pod as soon as it is in that phase, or its container waits for that reason."""

    def fits(pods: dict[str, Any]) -> bool:
        return any(_fits(pod, phase, waiting) for pod in pods["items"])

    found = cluster.api.wait_for(f"/api/v1/namespaces/{namespace}/pods?labelSelector=job-name={name}", fits)
    pod: dict[str, Any] = next(pod for pod in found["items"] if _fits(pod, phase, waiting))
    return pod


def terminated(pod: dict[str, Any]) -> dict[str, Any]:
    """How its container ended."""
    how: dict[str, Any] = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return how


def log_of(cluster: Cluster, pod: dict[str, Any], **wish: str) -> str:
    meta = pod["metadata"]
    return cluster.api.text(f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/log", **wish)


def _fits(pod: dict[str, Any], phase: str, waiting: str) -> bool:
    states = [one["state"] for one in pod["status"].get("containerStatuses") or []]
    reasons = [state.get("waiting", {}).get("reason") for state in states]
    return pod["status"].get("phase") == phase if phase else waiting in reasons
