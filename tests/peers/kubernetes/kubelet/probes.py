"""Probes over HTTP and TCP: when a container counts as ready, and when it is ended because it does not live."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import httpx

from tests.peers.kubernetes.api import Document
from tests.peers.kubernetes.kubelet.engine import Running
from tests.peers.kubernetes.kubelet.status import ContainerState

if TYPE_CHECKING:
    from tests.peers.kubernetes.kubelet.pod import Pod

# What has not started or is not ready yet is asked again soon, so that what waits for it need not wait for a whole period.
_SOON_S = 0.25


class Probes:
    """Of one container that has started, until `stop`. Without a readiness probe it is ready at once."""

    def __init__(self, pod: Pod, state: ContainerState, spec: Document, running: Running) -> None:
        self._pod, self._state, self._spec, self._running = pod, state, spec, running
        state.ready = not spec.get("readinessProbe") and not spec.get("startupProbe")
        probed = [kind for kind in ("startupProbe", "readinessProbe", "livenessProbe") if spec.get(kind)]
        self._task = asyncio.create_task(self._all()) if probed else None
        self._more: list[asyncio.Task[None]] = []

    def stop(self) -> None:
        for task in [self._task, *self._more]:
            if task:
                task.cancel()

    async def _all(self) -> None:
        if startup := self._spec.get("startupProbe"):
            if not await self._until_success(startup):
                await self._fail("Startup")
                return
            if not self._spec.get("readinessProbe"):
                await self._set_ready(True)
        if readiness := self._spec.get("readinessProbe"):
            self._more.append(asyncio.create_task(self._ready(readiness)))
        if liveness := self._spec.get("livenessProbe"):
            self._more.append(asyncio.create_task(self._live(liveness)))

    async def _until_success(self, probe: Document) -> bool:
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        # Asked more often than it says, and given up when it says.
        patience = asyncio.get_running_loop().time() + probe.get("failureThreshold", 3) * probe.get("periodSeconds", 10)
        while asyncio.get_running_loop().time() < patience:
            if await self._passes(probe):
                return True
            await asyncio.sleep(_SOON_S)
        return False

    async def _ready(self, probe: Document) -> None:
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        failures = 0
        while True:
            passes = await self._passes(probe)
            failures = 0 if passes else failures + 1
            if passes != self._state.ready and (passes or failures >= probe.get("failureThreshold", 3)):
                await self._set_ready(passes)
            await asyncio.sleep(probe.get("periodSeconds", 10) if self._state.ready else _SOON_S)

    async def _live(self, probe: Document) -> None:
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        failures = 0
        while failures < probe.get("failureThreshold", 3):
            await asyncio.sleep(probe.get("periodSeconds", 10))
            failures = 0 if await self._passes(probe) else failures + 1
        await self._fail("Liveness")

    async def _set_ready(self, ready: bool) -> None:
        self._state.ready = ready
        await self._pod.report()

    async def _fail(self, kind: str) -> None:
        await self._pod.node.event(self._pod, "Unhealthy", f"{kind} probe failed")
        self._running.signal(15)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._running.wait(), self._pod.spec.get("terminationGracePeriodSeconds", 30))
        self._running.signal(9)

    async def _passes(self, probe: Document) -> bool:
        timeout = probe.get("timeoutSeconds", 1)
        if "tcpSocket" in probe:
            try:
                _, writer = await asyncio.wait_for(
                    asyncio.open_connection("127.0.0.1", self._port(probe["tcpSocket"])), timeout
                )
            except (OSError, TimeoutError):
                return False
            writer.close()
            return True
        wish = probe["httpGet"]
        headers = {header["name"]: header["value"] for header in wish.get("httpHeaders") or []}
        url = f"{wish.get('scheme', 'HTTP').lower()}://127.0.0.1:{self._port(wish)}{wish.get('path', '/')}"
        try:
            async with httpx.AsyncClient(verify=False, trust_env=False, timeout=timeout) as http:
                answer = await http.get(url, headers={"User-Agent": "kube-probe/1.20", **headers})
        except httpx.HTTPError:
            return False
        return 200 <= answer.status_code < 400

    def _port(self, wish: Document) -> int:
        port = wish["port"]
        if isinstance(port, int):
            return port
        named = {one.get("name"): one["containerPort"] for one in self._spec.get("ports") or []}
        return int(named[port])
