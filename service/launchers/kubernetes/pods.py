"""What a pod says of itself, in our words. Pure; the tests have each state with the source that knows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.launchers import EndReason
from service.launchers.kubernetes import names
from service.launchers.kubernetes.view import Json

# Beyond its own grace a node gets so long to say that a pod has ended.
_OVERDUE_S = 15.0
_WORDS = 500
_SIGNALS = 128

_PULLS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable", "SignatureValidationFailed"}
)
# Waiting changes nothing about these.
_HOPELESS = frozenset({"InvalidImageName"})
_CANNOT_BE_MADE = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
# A pod's own reason to have failed.
_EVICTED = frozenset({"Evicted", "Preempting", "Preempted", "Shutdown", "NodeShutdown", "Terminated"})
# Who disrupted it, as the condition DisruptionTarget says since Kubernetes 1.26.
_DISRUPTED = {
    "PreemptionByScheduler": EndReason.EVICTED,
    "EvictionByEvictionAPI": EndReason.EVICTED,
    "TerminationByKubelet": EndReason.EVICTED,
    "DeletionByTaintManager": EndReason.EVICTED,
    "DeletionByPodGC": EndReason.NODE_LOST,
}
_NOT_STARTED = frozenset({"StartError", "ContainerCannotRun"})
_NO_PROGRAM = re.compile(
    r"executable file not found|no such file or directory|exec format error|permission denied", re.IGNORECASE
)
_MISSING = re.compile(r'(?:secret|configmap) "?gitops-[a-z0-9-]+"? not found', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ending:
    reason: EndReason
    exit_code: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class Waits:
    """For what, and whether that is in vain."""

    detail: str
    hopeless: bool = False


def ending(pod: Json) -> Ending | None:
    """How it ended; None when it has not, as far as it says. A sidecar may run on when the runner has ended."""
    status = pod.get("status") or {}
    ended = _runner(pod).get("state", {}).get("terminated")
    if ended is None and status.get("phase") not in ("Succeeded", "Failed"):
        return None
    code = ended.get("exitCode") if ended else None
    if code == 0 or status.get("phase") == "Succeeded":
        return Ending(EndReason.EXITED, 0, "")
    if (by_others := _by_others(pod, code)) is not None:
        return by_others
    if ended is None:
        said = f"{status.get('reason', 'Failed')}: {status.get('message', '')}"
        return Ending(EndReason.EVICTED, None, f"node {_node(pod)} refused the pod: {short(said)}")
    return _of_container(ended, code)


def _by_others(pod: Json, code: int | None) -> Ending | None:
    """What ended the pod, rather than the program in it."""
    status = pod.get("status") or {}
    why, said = status.get("reason", ""), short(status.get("message", ""))
    if why == "DeadlineExceeded":
        return Ending(EndReason.TIMED_OUT, code, "it took longer than its timeout")
    if why == "NodeLost":
        return Ending(EndReason.NODE_LOST, code, f"node {_node(pod)} was lost: {said}")
    if why in _EVICTED:
        return Ending(EndReason.EVICTED, code, f"the pod was evicted from node {_node(pod)}: {said or why}")
    if (disruption := _condition(pod, "DisruptionTarget", "True")) is not None:
        who = disruption.get("reason", "")
        return Ending(_DISRUPTED.get(who, EndReason.EVICTED), code, f"{who}: {short(disruption.get('message', ''))}")
    if pod["metadata"].get("deletionTimestamp") and code is not None:
        return Ending(EndReason.DELETED, code, f"pod {_name(pod)} was deleted")
    return None


def _of_container(ended: Mapping[str, Any], code: int | None) -> Ending:
    why, said = ended.get("reason", ""), ended.get("message", "")
    if why == "OOMKilled":
        return Ending(EndReason.OUT_OF_MEMORY, code, "the pod used more memory than its limit")
    if why in _NOT_STARTED:
        reason = EndReason.INCOMPATIBLE if _NO_PROGRAM.search(said) else EndReason.EXITED
        return Ending(reason, code, f"the image cannot run `python`: {short(said)}")
    last = _last_line(said)
    if code is not None and code > _SIGNALS:
        return Ending(
            EndReason.KILLED, code, f"it was ended by signal {code - _SIGNALS}" + (f": {last}" if last else "")
        )
    return Ending(EndReason.EXITED, code, f"exit code {code}" + (f": {last}" if last else ""))


def removal(pod: Json) -> Ending:
    """Of a pod that is gone without having said how it ended."""
    if (by_others := _by_others(pod, None)) is not None:
        return by_others
    if _node_is_silent(pod):
        return _node_lost(pod)
    return Ending(EndReason.DELETED, None, f"pod {_name(pod)} was deleted")


def lost(pod: Json, ending_s: float) -> Ending | None:
    """A pod that was told to end `ending_s` ago and has not: its node is gone."""
    grace_s = float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
    gone = (pod.get("status") or {}).get("reason") == "NodeLost" or _node_is_silent(pod)
    return _node_lost(pod) if gone or ending_s > grace_s + _OVERDUE_S else None


def _node_lost(pod: Json) -> Ending:
    return Ending(EndReason.NODE_LOST, None, f"node {_node(pod)} does not answer any more")


def _node_is_silent(pod: Json) -> bool:
    """The node controller says of a silent node's pods that they are not ready, and leaves what the node last said of
    their containers."""
    return bool(_runner(pod).get("ready")) and _condition(pod, "Ready", "False", "Unknown") is not None


def misses(pod: Json, warnings: Mapping[str, str]) -> bool:
    """Whether it is said that something of ours, without which the pod cannot be made, is not there, or was not when that was said."""
    said = f"{_waiting(pod).get('message', '')} {warnings.get(pod['metadata']['uid'], '')}"
    return not has_begun(pod) and _MISSING.search(said) is not None


def waits(pod: Json, warnings: Mapping[str, str]) -> Waits:
    """What a pod waits for that has not ended."""
    scheduled = _condition(pod, "PodScheduled", "False")
    if scheduled is not None:
        return Waits(f"no node takes its pod: {short(scheduled.get('message', '')) or scheduled.get('reason', '')}")
    waiting = _waiting(pod)
    why, said = waiting.get("reason", ""), short(waiting.get("message", ""))
    image = _runner(pod).get("image") or pod["spec"]["containers"][0].get("image", "")
    if why in _PULLS or why in _HOPELESS:
        return Waits(f"image {image} cannot be pulled: {said or why}", why in _HOPELESS)
    if why in _CANNOT_BE_MADE:
        return Waits(f"its container cannot be made: {said or why}")
    if "running" in _runner(pod).get("state", {}):
        return Waits(f"its pod runs on node {_node(pod)} and has not begun yet")
    if (warned := warnings.get(pod["metadata"]["uid"])) is not None:
        return Waits(f"its pod is being prepared on node {_node(pod)}: {short(warned)}")
    return Waits(f"its pod is being prepared on node {_node(pod)}" if _node(pod) else "its pod waits for a node")


def has_begun(pod: Json) -> bool:
    """Whether its container was started, so that it has a log."""
    state = _runner(pod).get("state", {})
    return "running" in state or "terminated" in state


def is_silent(pod: Json) -> bool:
    """It is being prepared and does not say what for; events may."""
    return _waiting(pod).get("reason", "ContainerCreating") in ("ContainerCreating", "PodInitializing")


def _runner(pod: Json) -> Mapping[str, Any]:
    found = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((one for one in found if one.get("name") == names.CONTAINER), {})


def _waiting(pod: Json) -> Mapping[str, Any]:
    return _runner(pod).get("state", {}).get("waiting") or {}


def _condition(pod: Json, kind: str, *statuses: str) -> Mapping[str, Any] | None:
    found = (pod.get("status") or {}).get("conditions") or ()
    return next((one for one in found if one.get("type") == kind and one.get("status") in statuses), None)


def _name(pod: Json) -> str:
    return str(pod["metadata"]["name"])


def _node(pod: Json) -> str:
    return str(pod["spec"].get("nodeName") or "")


def short(said: str) -> str:
    """On one line that people read; images and nodes may say anything."""
    return " ".join("".join(c if c.isprintable() else " " for c in said).split())[:_WORDS]


def _last_line(said: str) -> str:
    return next((short(line) for line in reversed(said.splitlines()) if line.strip()), "")
