"""What the API server hears of a pod: pure functions from what its containers do to a PodStatus document."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.peers.kubernetes.api import Document

NEVER = "1970-01-01T00:00:00Z"  # what a container says that never started


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def waiting(reason: str, message: str = "") -> Document:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def running(since: str) -> Document:
    return {"running": {"startedAt": since}}


def terminated(code: int, reason: str, since: str, message: str = "") -> Document:
    ended = {"exitCode": code, "reason": reason, "startedAt": since, "finishedAt": now()}
    return {"terminated": {**ended, **({"message": message} if message else {})}}


@dataclass
class ContainerState:
    """One container, as it is now."""

    name: str
    image: str
    state: Document = field(default_factory=lambda: waiting("ContainerCreating"))
    last: Document = field(default_factory=dict)
    restarts: int = 0
    ready: bool = False
    identity: str = ""

    @property
    def exit_code(self) -> int | None:
        """None while it has not ended."""
        ended = self.state.get("terminated")
        return None if ended is None else int(ended["exitCode"])

    def document(self) -> Document:
        identity = {"containerID": self.identity} if self.identity else {}
        return {
            **identity,
            "name": self.name,
            "image": self.image,
            "imageID": self.image if self.identity else "",
            "ready": self.ready,
            "started": "running" in self.state,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last,
        }


@dataclass(frozen=True)
class Verdict:
    """What the kubelet itself decided on a pod: it has failed for this reason, whatever its containers did."""

    reason: str
    message: str
    # The status has no containers any more: up to 1.21 the eviction manager set one of these fields only.
    bare: bool = False


def phase_of(policy: str, inits: list[ContainerState], containers: list[ContainerState]) -> str:
    """kubelet's getPhase."""
    if any(one.exit_code for one in inits) and policy == "Never":
        return "Failed"
    if any(one.exit_code is None or one.exit_code for one in inits):
        return "Pending"
    if any("waiting" in one.state and not one.last for one in containers):
        return "Pending"
    if any(one.exit_code is None for one in containers):
        return "Running"
    if policy == "Always":
        return "Running"
    if all(one.exit_code == 0 for one in containers):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def pod_status(
    spec: Document,
    inits: list[ContainerState],
    containers: list[ContainerState],
    address: str,
    since: str,
    verdict: Verdict | None,
) -> dict[str, Any]:
    """The whole status; what is None is taken away from what the server has."""
    phase = "Failed" if verdict else phase_of(spec.get("restartPolicy", "Always"), inits, containers)
    over = phase in ("Succeeded", "Failed")
    unready = [one.name for one in containers if not one.ready]
    initialized = all(one.exit_code == 0 for one in inits)
    lacking = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(unready)}]"}
    why = {"reason": "PodCompleted"} if phase == "Succeeded" else lacking if unready else {}
    started = any(one.identity for one in [*inits, *containers])
    bare = bool(verdict and verdict.bare)
    return {
        "phase": phase,
        "reason": verdict.reason if verdict else None,
        "message": verdict.message if verdict else None,
        "hostIP": "127.0.0.1",
        "podIP": address if started else None,
        "podIPs": [{"ip": address}] if started else None,
        "startTime": since,
        "conditions": [
            _condition("Initialized", initialized, {"reason": "PodCompleted"} if phase == "Succeeded" else {}),
            _condition("Ready", not unready and not over, why),
            _condition("ContainersReady", not unready and not over, why),
            _condition("PodScheduled", holds=True, why={}),
        ],
        "containerStatuses": None if bare else [one.document() for one in containers],
        "initContainerStatuses": [one.document() for one in inits] if inits and not bare else None,
    }


def _condition(kind: str, holds: bool, why: Document) -> Document:
    # A reason that no longer holds has to be taken away: the server merges conditions by their type.
    return {"type": kind, "status": str(holds), "reason": None, "message": None, **why}
