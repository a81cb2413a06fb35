"""What a test tells the kubelet, by lines of JSON on its standard input: `{"verb": ..., ...}`, each answered by one line."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from tests.peers.kubernetes.kubelet.images import Image
from tests.peers.kubernetes.kubelet.log_server import LogServer
from tests.peers.kubernetes.kubelet.node import Node
from tests.peers.kubernetes.kubelet.pod import Pod
from tests.peers.kubernetes.kubelet.process import ProcessEngine
from tests.peers.kubernetes.kubelet.status import Verdict


class Control:
    """The verbs are the methods that end in `_`. The end of the input is the end of the kubelet."""

    def __init__(self, node: Node, processes: ProcessEngine, logs: LogServer) -> None:
        self._node, self._processes, self._logs = node, processes, logs

    async def obey(self) -> None:
        reader = asyncio.StreamReader(limit=2**20)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            wish = json.loads(line)
            try:
                answer = {"answer": await getattr(self, f"{wish.pop('verb')}_")(**wish)}
            except LookupError as error:
                answer = {"error": str(error)}
            sys.stdout.write(f"{json.dumps(answer)}\n")
            sys.stdout.flush()

    async def stop_(self) -> None:
        self._node.awake.clear()
        await self._logs.close()

    async def start_(self) -> None:
        await self._logs.open()
        self._node.awake.set()

    async def hold_(self) -> None:
        self._node.starting.clear()

    async def release_(self) -> None:
        self._node.starting.set()

    async def images_(self, images: dict[str, dict[str, Any]]) -> None:
        self._processes.images = {name: Image.of(document) for name, document in images.items()}

    async def unpullable_(self, images: list[str]) -> None:
        self._node.unpullable = set(images)

    async def evict_(self, namespace: str, name: str, message: str, bare: bool) -> None:
        pod = self._pod(namespace, name)
        await self._node.event(pod, "Evicted", message)
        await pod.end(0, Verdict("Evicted", message, bare=bare))

    async def oom_(self, namespace: str, name: str, container: str | None) -> None:
        for known, running in list(self._pod(namespace, name).running.items()):
            if container in (None, known):
                running.run_out_of_memory()

    async def signal_(self, namespace: str, name: str, container: str | None, number: int) -> None:
        for known, running in list(self._pod(namespace, name).running.items()):
            if container in (None, known):
                running.signal(number)

    async def pids_(self, namespace: str, name: str) -> dict[str, int]:
        return {known: running.pid for known, running in self._pod(namespace, name).running.items()}

    async def count_(self) -> int:
        return sum(bool(pod.running) for pod in self._node.pods.values())

    def _pod(self, namespace: str, name: str) -> Pod:
        if (pod := self._node.find(namespace, name)) is None:
            raise LookupError(f"no pod {namespace}/{name} on this node")
        return pod
