"""The node: registered, beating, and running what the scheduler binds to it; told from outside to misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import traceback
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tests.peers.kubernetes.api import ApiError, Document
from tests.peers.kubernetes.kubelet import status
from tests.peers.kubernetes.kubelet.engine import Engine
from tests.peers.kubernetes.kubelet.node_api import NodeApi
from tests.peers.kubernetes.kubelet.pod import Pod
from tests.peers.kubernetes.kubelet.services import Services

_BEAT_S = 2.0
_STATUS_BEATS = 5  # every fifth beat also tells the node's status
_RETRY_S = 0.2
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_CONDITIONS = {
    "Ready": "KubeletReady",
    "MemoryPressure": "KubeletHasSufficientMemory",
    "DiskPressure": "KubeletHasNoDiskPressure",
    "PIDPressure": "KubeletHasSufficientPID",
}


class Node:
    """`awake` and `starting` are gates: shut, nothing is told to the API server, and no container starts."""

    def __init__(self, api: NodeApi, name: str, port: int, folder: Path, capacity: dict[str, str]) -> None:
        self.api, self.name, self.folder = api, name, folder
        self.processes: Engine
        self.podman: Engine | None = None
        self.pods: dict[str, Pod] = {}
        self.unpullable: set[str] = set()
        self.awake, self.starting = asyncio.Event(), asyncio.Event()
        self.awake.set()
        self.starting.set()
        self.services = Services(api)
        self._port, self._capacity = port, capacity
        self._since = status.now()
        self._ending: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._addresses = 0
        self._over = False

    def engine_of(self, image: str) -> Engine:
        """Images of this machine (`localhost/...`) are run by podman where there is one."""
        return self.podman if self.podman and image.startswith("localhost/") else self.processes

    def may_start(self) -> asyncio.Event:
        return self.starting

    def find(self, namespace: str, name: str) -> Pod | None:
        return next((pod for pod in self.pods.values() if (pod.namespace, pod.name) == (namespace, name)), None)

    def background(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def say_error(self, pod: Pod, error: Exception) -> None:
        say(f"{pod.path}: {''.join(traceback.format_exception(error))}")

    async def run(self) -> None:
        """Until cancelled."""
        await self._register()
        self.background(self._beat())
        self.background(self.services.follow())
        await self._follow()

    async def end(self) -> None:
        """Everything ends at once, and nothing of it is told."""
        self._over = True
        self.awake.set()
        await asyncio.gather(*(pod.forget() for pod in list(self.pods.values())), return_exceptions=True)

    # --- telling

    async def tell(self, path: str, document: Document) -> int | None:
        """A pod's status. The version it has then; 0 where the pod is gone or another one; None: try again."""
        await self.awake.wait()
        if self._over:
            return 0
        try:
            told = await self.api.patch(f"{path}/status", document)
            return int(told["metadata"]["resourceVersion"])
        except ApiError as error:
            if error.status in (404, 409, 422):
                return 0
            say(f"status of {path}: {error}")
        except httpx.TransportError as error:
            say(f"status of {path}: {error!r}")
        await asyncio.sleep(_RETRY_S)
        return None

    async def event(self, pod: Pod, reason: str, message: str, kind: str = "Warning") -> None:
        """An event on a pod; one that the server does not take is lost, as the real ones are."""
        moment = status.now()
        involved = {"kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid, "apiVersion": "v1"}
        document = {
            "metadata": {"generateName": f"{pod.name}.", "namespace": pod.namespace},
            "involvedObject": involved,
            "reason": reason,
            "message": message[:1000],
            "type": kind,
            "source": {"component": "kubelet", "host": self.name},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
        if self.awake.is_set():
            with contextlib.suppress(ApiError, httpx.TransportError):
                await self.api.ask("POST", f"/api/v1/namespaces/{pod.namespace}/events", document)

    async def _register(self) -> None:
        labels = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name, "labels": labels}}
        while True:
            try:
                await self.api.ask("POST", "/api/v1/nodes", {**node, "status": self._status()})
                return
            except ApiError as error:
                if error.status == 409:
                    return
                say(f"registering: {error}")
            except httpx.TransportError as error:
                say(f"registering: {error!r}")
            await asyncio.sleep(_RETRY_S)

    async def _beat(self) -> None:
        beats = 0
        while True:
            await self.awake.wait()
            try:
                if beats % _STATUS_BEATS == 0:
                    await self.api.patch(f"/api/v1/nodes/{self.name}/status", {"status": self._status()}, urgent=True)
                await self._renew()
                beats += 1
            except ApiError as error:
                if error.status == 404:
                    await self._register()
                say(f"beat: {error}")
                beats = 0
            except httpx.TransportError as error:
                say(f"beat: {error!r}")
                beats = 0
            await asyncio.sleep(_BEAT_S if beats else _RETRY_S)

    async def _renew(self) -> None:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": self.name, "leaseDurationSeconds": 40, "renewTime": moment}
        try:
            await self.api.patch(f"{_LEASES}/{self.name}", {"spec": spec}, urgent=True)
        except ApiError as error:
            if error.status != 404:
                raise
            meta = {"name": self.name, "namespace": "kube-node-lease"}
            await self.api.ask("POST", _LEASES, {"metadata": meta, "spec": spec})

    def _status(self) -> Document:
        moment = status.now()
        conditions = [
            {
                "type": kind,
                "status": str(kind == "Ready"),
                "reason": reason,
                "message": "",
                "lastHeartbeatTime": moment,
                "lastTransitionTime": self._since,
            }
            for kind, reason in _CONDITIONS.items()
        ]
        names = ("bootID", "machineID", "systemUUID")
        return {
            "capacity": self._capacity,
            "allocatable": self._capacity,
            "conditions": conditions,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": self.name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
            "nodeInfo": {
                **dict.fromkeys(names, "stand-in"),
                **dict.fromkeys(("kubeletVersion", "kubeProxyVersion"), "v1.20.2"),
                "architecture": "amd64",
                "operatingSystem": "linux",
                "containerRuntimeVersion": "stand-in://1",
                "kernelVersion": os.uname().release,
                "osImage": "stand-in",
            },
        }

    # --- following

    async def _follow(self) -> None:
        """One list and then one watch, again and again."""
        mine = {"fieldSelector": f"spec.nodeName={self.name}"}
        while True:
            await self.awake.wait()
            try:
                listed = await self.api.get("/api/v1/pods", **mine)
                there = {document["metadata"]["uid"] for document in listed["items"]}
                for document in listed["items"]:
                    self._see(document)
                for uid in set(self.pods) - there:
                    self._gone(uid)
                await self._watch(listed["metadata"]["resourceVersion"], mine)
            except (ApiError, httpx.HTTPError) as error:
                say(f"watch: {error!r}")
                await asyncio.sleep(_RETRY_S)

    async def _watch(self, version: str, mine: dict[str, str]) -> None:
        async for kind, document in self.api.watch("/api/v1/pods", version, **mine):
            if not self.awake.is_set() or kind == "ERROR":
                return
            if kind == "DELETED":
                self._gone(document["metadata"]["uid"])
            elif kind in ("ADDED", "MODIFIED"):
                self._see(document)

    def _see(self, document: Document) -> None:
        meta = document["metadata"]
        uid, over = meta["uid"], document["status"].get("phase") in ("Succeeded", "Failed")
        if uid not in self.pods and not over:
            self._addresses += 1
            high, low = divmod(self._addresses, 250)
            self.pods[uid] = Pod(self, document, f"10.244.{high % 250}.{low + 1}")
        elif uid in self.pods and self.pods[uid].was_changed(document):
            self.background(self.pods[uid].report())
        if meta.get("deletionTimestamp") and uid not in self._ending:
            self._ending.add(uid)
            self.background(self._delete(document))

    def _gone(self, uid: str) -> None:
        self._ending.discard(uid)
        if pod := self.pods.pop(uid, None):
            self.background(pod.forget())

    async def _delete(self, document: Document) -> None:
        """What was asked to go ends first; then the node says that it may go."""
        meta = document["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        if pod := self.pods.get(meta["uid"]):
            await pod.end(meta.get("deletionGracePeriodSeconds", 30))
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
        while True:
            await self.awake.wait()
            try:
                await self.api.ask("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", **options})
                return
            except ApiError as error:
                if error.status in (404, 409):
                    return
                say(f"deleting {path}: {error}")
            except httpx.TransportError as error:
                say(f"deleting {path}: {error!r}")
            await asyncio.sleep(_RETRY_S)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            say("".join(traceback.format_exception(error)))
            os._exit(70)


def say(line: str) -> None:
    """Into the kubelet's own log."""
    sys.stderr.write(f"{status.now()} {line[:8000]}\n")
    sys.stderr.flush()
