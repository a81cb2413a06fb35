"""Each state of a pod that Kubernetes knows, with the place in its source that makes it, and what it is in our words."""

from __future__ import annotations

from typing import Any

import pytest

from service.launchers import EndReason
from service.launchers.kubernetes import pods

UID = "0000-1"


def pod(state: dict[str, Any] | None = None, *, ready: bool = False, **status: Any) -> dict[str, Any]:
    metadata = status.pop("metadata", {})
    container = {"name": "runner", "image": "reg/image:1", "state": state or {}, "ready": ready}
    return {
        "metadata": {"name": "gitops-x-abcde", "uid": UID, **metadata},
        "spec": {"nodeName": status.pop("node", "node-7"), "containers": [{"name": "runner", "image": "reg/image:1"}]},
        "status": {"phase": "Pending", **({"containerStatuses": [container]} if state is not None else {}), **status},
    }


def condition(kind: str, status: str, reason: str = "", message: str = "") -> list[dict[str, str]]:
    return [{"type": kind, "status": status, "reason": reason, "message": message}]


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return pod({"waiting": {"reason": reason, "message": message}})


def terminated(code: int, reason: str = "Error", message: str = "", **status: Any) -> dict[str, Any]:
    state = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    return pod(state, **{"phase": "Succeeded" if code == 0 else "Failed", **status})


UNSCHEDULABLE = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
NO_PYTHON = 'failed to create shim task: exec: "python": executable file not found in $PATH: unknown'

# What it waits for: source, pod, words, whether in vain.
WAITS = [
    ("core/v1 PodReasonUnschedulable, set by pkg/scheduler", pod(conditions=condition("PodScheduled", "False", "Unschedulable", UNSCHEDULABLE)), f"no node takes its pod: {UNSCHEDULABLE}", False),
    ("core/v1 PodReasonSchedulingGated", pod(conditions=condition("PodScheduled", "False", "SchedulingGated")), "no node takes its pod: SchedulingGated", False),
    ("pkg/kubelet/images/types.go ErrImagePull", waiting("ErrImagePull", "not found"), "image reg/image:1 cannot be pulled: not found", False),
    ("pkg/kubelet/images/types.go ErrImagePullBackOff", waiting("ImagePullBackOff"), "image reg/image:1 cannot be pulled: ImagePullBackOff", False),
    ("pkg/kubelet/images/types.go ErrImageNeverPull", waiting("ErrImageNeverPull"), "cannot be pulled: ErrImageNeverPull", False),
    ("pkg/kubelet/images/types.go ErrRegistryUnavailable", waiting("RegistryUnavailable"), "cannot be pulled", False),
    ("cri-api errors: SignatureValidationFailed", waiting("SignatureValidationFailed"), "cannot be pulled", False),
    ("pkg/kubelet/images/types.go ErrInvalidImageName", waiting("InvalidImageName", "couldn't parse"), "cannot be pulled: couldn't parse", True),
    ("pkg/kubelet/kuberuntime ErrCreateContainerConfig", waiting("CreateContainerConfigError", 'secret "x" not found'), 'its container cannot be made: secret "x" not found', False),
    ("pkg/kubelet/kuberuntime ErrCreateContainer", waiting("CreateContainerError", "mount"), "its container cannot be made: mount", False),
    ("pkg/kubelet/container ErrRunContainer", waiting("RunContainerError"), "its container cannot be made: RunContainerError", False),
    ("pkg/kubelet/kubelet_pods.go ContainerCreating", waiting("ContainerCreating"), "its pod is being prepared on node node-7", False),
    ("pkg/kubelet/kubelet_pods.go PodInitializing", waiting("PodInitializing"), "its pod is being prepared on node node-7", False),
    ("a pod that is new", pod(node=""), "its pod waits for a node", False),
    ("core/v1 ContainerStateRunning", pod({"running": {}}, phase="Running"), "its pod runs on node node-7 and has not begun yet", False),
]  # fmt: skip


@pytest.mark.parametrize(("source", "seen", "words", "hopeless"), WAITS, ids=[row[0] for row in WAITS])
def test_why_it_waits(source, seen, words, hopeless):
    waits = pods.waits(seen, {})
    assert words in waits.detail
    assert waits.hopeless is hopeless
    assert pods.ending(seen) is None


# How it ended: source, pod, reason, exit code, words.
ENDS = [
    ("core/v1 PodSucceeded", terminated(0, "Completed"), EndReason.EXITED, 0, ""),
    ("core/v1 PodFailed", terminated(3, message="a\nlast words\n"), EndReason.EXITED, 3, "exit code 3: last words"),
    ("containerd and CRI-O: OOMKilled", terminated(137, "OOMKilled"), EndReason.OUT_OF_MEMORY, 137, "more memory"),
    ("a container's exit code beyond 128 is a signal", terminated(137), EndReason.KILLED, 137, "ended by signal 9"),
    ("pkg/kubelet/kubelet_pods.go ContainerStatusUnknown", terminated(137, "ContainerStatusUnknown"), EndReason.KILLED, 137, "signal"),
    ("containerd pkg/cri: StartError, runc's words", terminated(128, "StartError", NO_PYTHON), EndReason.INCOMPATIBLE, 128, "cannot run `python`"),
    ("dockershim: ContainerCannotRun", terminated(127, "ContainerCannotRun", "exec format error"), EndReason.INCOMPATIBLE, 127, "exec format error"),
    ("containerd pkg/cri: StartError of the node's", terminated(128, "StartError", "cgroups: no space"), EndReason.EXITED, 128, "cgroups"),
    ("pkg/kubelet/eviction Reason", pod({}, phase="Failed", reason="Evicted", message="low on memory"), EndReason.EVICTED, None, "low on memory"),
    ("pkg/kubelet/eviction, with the container's end", pod({"terminated": {"exitCode": 137}}, phase="Failed", reason="Evicted", message="disk"), EndReason.EVICTED, 137, "disk"),
    ("pkg/kubelet/nodeshutdown nodeShutdownReason", pod({"terminated": {"exitCode": 143}}, phase="Failed", reason="Terminated", message="node shutdown"), EndReason.EVICTED, 143, "node shutdown"),
    ("pkg/kubelet/preemption Preempting", pod(phase="Failed", reason="Preempting", message="critical pod"), EndReason.EVICTED, None, "critical pod"),
    ("pkg/kubelet/lifecycle: OutOfcpu, refused at admission", pod(phase="Failed", reason="OutOfcpu", message="not enough"), EndReason.EVICTED, None, "node-7 refused the pod: OutOfcpu: not enough"),
    ("pkg/kubelet/lifecycle: NodeAffinity", pod(phase="Failed", reason="NodeAffinity"), EndReason.EVICTED, None, "refused the pod: NodeAffinity"),
    ("pkg/kubelet/active_deadline.go DeadlineExceeded", pod(phase="Failed", reason="DeadlineExceeded"), EndReason.TIMED_OUT, None, "timeout"),
    ("pkg/util/node NodeUnreachablePodReason", pod(phase="Failed", reason="NodeLost", message="unresponsive"), EndReason.NODE_LOST, None, "node-7 was lost"),
    ("pkg/scheduler: DisruptionTarget", terminated(143, conditions=condition("DisruptionTarget", "True", "PreemptionByScheduler", "by x")), EndReason.EVICTED, 143, "PreemptionByScheduler: by x"),
    ("registry/core/pod eviction API: DisruptionTarget", terminated(143, conditions=condition("DisruptionTarget", "True", "EvictionByEvictionAPI")), EndReason.EVICTED, 143, "EvictionByEvictionAPI"),
    ("pkg/controller/tainteviction: DisruptionTarget", terminated(143, conditions=condition("DisruptionTarget", "True", "DeletionByTaintManager")), EndReason.EVICTED, 143, "DeletionByTaintManager"),
    ("pkg/controller/podgc: DisruptionTarget", pod(phase="Failed", conditions=condition("DisruptionTarget", "True", "DeletionByPodGC")), EndReason.NODE_LOST, None, "DeletionByPodGC"),
    ("core/v1 PodReasonTerminationByKubelet", terminated(137, conditions=condition("DisruptionTarget", "True", "TerminationByKubelet")), EndReason.EVICTED, 137, "TerminationByKubelet"),
    ("kubectl delete pod, which ended in its grace", terminated(143, metadata={"deletionTimestamp": "x"}), EndReason.DELETED, 143, "pod gitops-x-abcde was deleted"),
    ("a sidecar runs on when the runner has ended", terminated(0, phase="Running"), EndReason.EXITED, 0, ""),
    ("a run that succeeded while it was being disrupted", terminated(0, conditions=condition("DisruptionTarget", "True", "PreemptionByScheduler")), EndReason.EXITED, 0, ""),
]  # fmt: skip


@pytest.mark.parametrize(("source", "seen", "reason", "code", "words"), ENDS, ids=[row[0] for row in ENDS])
def test_how_it_ended(source, seen, reason, code, words):
    ending = pods.ending(seen)
    assert ending is not None
    assert (ending.reason, ending.exit_code) == (reason, code)
    assert words in ending.detail


RUNS = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
# It was told to end: source, pod, seconds since, whether its node is lost.
LEAVING = [
    ("kubectl delete pod, in its grace", pod(RUNS, ready=True, phase="Running"), 10, False),
    ("the kubelet has not confirmed it long after its grace", pod(RUNS, ready=True, phase="Running"), 50, True),
    ("pkg/controller/nodelifecycle MarkPodsNotReady", pod(RUNS, ready=True, phase="Running", conditions=condition("Ready", "False")), 1, True),
    ("the kubelet itself says not ready, as it ends", pod(RUNS, ready=False, phase="Running", conditions=condition("Ready", "False")), 1, False),
    ("pkg/controller/nodelifecycle SetPodTerminationReason", pod(RUNS, phase="Running", reason="NodeLost"), 1, True),
]  # fmt: skip


@pytest.mark.parametrize(("source", "seen", "seconds", "is_lost"), LEAVING, ids=[row[0] for row in LEAVING])
def test_whether_its_node_is_lost(source, seen, seconds, is_lost):
    seen["metadata"]["deletionGracePeriodSeconds"] = 30
    lost = pods.lost(seen, seconds)
    assert (lost is not None) is is_lost
    if lost is not None:
        assert (lost.reason, lost.detail) == (EndReason.NODE_LOST, "node node-7 does not answer any more")


# It is gone and had not ended: source, its last state, reason.
REMOVED = [
    ("kubectl delete pod --force", pod(RUNS, ready=True, phase="Running"), EndReason.DELETED),
    ("pkg/controller/podgc, of a node that is gone", pod(RUNS, phase="Running", conditions=condition("DisruptionTarget", "True", "DeletionByPodGC")), EndReason.NODE_LOST),
    ("pkg/controller/nodelifecycle, then removed", pod(RUNS, ready=True, phase="Running", conditions=condition("Ready", "False")), EndReason.NODE_LOST),
    ("pkg/scheduler, then removed", pod(RUNS, phase="Running", conditions=condition("DisruptionTarget", "True", "PreemptionByScheduler")), EndReason.EVICTED),
]  # fmt: skip


@pytest.mark.parametrize(("source", "seen", "reason"), REMOVED, ids=[row[0] for row in REMOVED])
def test_what_its_removal_means(source, seen, reason):
    assert pods.removal(seen).reason is reason


@pytest.mark.parametrize(
    ("seen", "warnings", "misses"),
    [
        (waiting("CreateContainerConfigError", 'secret "gitops-x" not found'), {}, True),
        (
            waiting("ContainerCreating"),
            {UID: 'MountVolume.SetUp failed for volume "program" : configmap "gitops-runner-0a" not found'},
            True,
        ),
        (waiting("CreateContainerConfigError", 'secret "theirs" not found'), {}, False),
        (pod({"running": {}}, phase="Running"), {UID: 'configmap "gitops-runner-0a" not found'}, False),  # at first
        (waiting("ContainerCreating"), {"another pod": 'secret "gitops-x" not found'}, False),
    ],
)
def test_what_of_ours_is_said_to_be_missing(seen, warnings, misses):
    assert pods.misses(seen, warnings) is misses


def test_events_say_what_a_silent_pod_does_not():
    seen = waiting("ContainerCreating")
    assert pods.is_silent(seen)
    assert "volume is in use" in pods.waits(seen, {UID: "volume is in use"}).detail
    assert not pods.is_silent(waiting("ErrImagePull"))


def test_words_of_images_and_nodes_are_one_line_of_bounded_length():
    seen = waiting("ErrImagePull", "a\x1b[31m\nb" + "x" * 10_000)
    detail = pods.waits(seen, {}).detail
    assert "\n" not in detail
    assert "\x1b" not in detail
    assert len(detail) < 600
