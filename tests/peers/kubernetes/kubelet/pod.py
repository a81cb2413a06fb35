"""The life of a pod on the node: volumes, init containers, containers, restarts, probes, and its end.

One task a pod and one a container; they wait for events and never look in intervals. What happens is put into the
containers' states, and `report` tells the API server what changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tests.peers.kubernetes.api import ApiError, Document
from tests.peers.kubernetes.kubelet import backoff, status
from tests.peers.kubernetes.kubelet.configure import CannotConfigure, configure
from tests.peers.kubernetes.kubelet.engine import Exit, Running, StartFailed
from tests.peers.kubernetes.kubelet.environment import Facts
from tests.peers.kubernetes.kubelet.images import Image
from tests.peers.kubernetes.kubelet.logs import Log
from tests.peers.kubernetes.kubelet.node_api import Absent
from tests.peers.kubernetes.kubelet.probes import Probes
from tests.peers.kubernetes.kubelet.status import ContainerState, Verdict
from tests.peers.kubernetes.kubelet.volumes import Volume, lay_out

if TYPE_CHECKING:
    from tests.peers.kubernetes.kubelet.node import Node

# kuberuntime's minimumGracePeriodInSeconds: also who is killed at once gets a SIGTERM before.
_LEAST_GRACE_S = 2


class Stopping(Exception):
    """The pod is to end; what was about to begin does not."""


class Pod:
    """One pod bound to the node, from when it is seen until it is forgotten."""

    def __init__(self, node: Node, document: Document, address: str) -> None:
        meta, spec = document["metadata"], document["spec"]
        self.node, self.document, self.spec = node, document, spec
        self.namespace, self.name, self.uid = meta["namespace"], meta["name"], meta["uid"]
        self.path = f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"
        self.folder: Path = node.folder / self.uid
        self.facts = Facts(document, node.name, address)
        self.inits = [ContainerState(one["name"], one["image"]) for one in spec.get("initContainers") or []]
        self.containers = [ContainerState(one["name"], one["image"]) for one in spec["containers"]]
        self.running: dict[str, Running] = {}
        self.logs: dict[str, list[Log]] = {}
        self._since = status.now()
        self._verdict: Verdict | None = None
        self._stop = asyncio.Event()
        self._transitions: dict[str, tuple[str, str]] = {}
        self._told: Document = {}
        self._version = 0
        self._telling = asyncio.Lock()
        self._work = asyncio.create_task(self._live())

    @property
    def over(self) -> bool:
        return self._work.done()

    def state(self, name: str) -> ContainerState | None:
        return next((one for one in [*self.inits, *self.containers] if one.name == name), None)

    async def end(self, grace: float, verdict: Verdict | None = None) -> None:
        """SIGTERM, `grace` seconds, SIGKILL; returns when the end is told. The first verdict stands."""
        if not self._work.done():
            self._verdict = self._verdict or verdict
        self._stop.set()
        for one in self.running.values():
            one.signal(signal.SIGTERM)
        done, _ = await asyncio.wait({self._work}, timeout=max(grace, _LEAST_GRACE_S))
        if not done:
            for one in self.running.values():
                one.signal(signal.SIGKILL)
            await asyncio.wait({self._work})

    async def forget(self) -> None:
        """Nothing of it is left on the machine."""
        self._stop.set()
        for one in self.running.values():
            one.signal(signal.SIGKILL)
        await asyncio.wait({self._work}, timeout=5)
        self._work.cancel()
        self.node.services.forget(self.document)
        shutil.rmtree(self.folder, ignore_errors=True)

    async def report(self) -> None:
        """Tell the API server, as often as it takes, unless nothing has changed."""
        async with self._telling:
            while True:
                told = status.pod_status(
                    self.spec, self.inits, self.containers, self.facts.address, self._since, self._verdict
                )
                for condition in told["conditions"]:
                    self._stamp(condition)
                if told == self._told:
                    return
                version = await self.node.tell(self.path, {"metadata": {"uid": self.uid}, "status": told})
                if version is not None:
                    self._told, self._version = told, version
                    return

    def was_changed(self, document: Document) -> bool:
        """Whether somebody else says something else of it by now, as controllers do of a silent node's: then it is told again."""
        if int(document["metadata"]["resourceVersion"]) <= self._version or not self._told:
            return False
        there, ours = document["status"], self._told
        same = there.get("phase") == ours["phase"] and _holding(ours).items() <= _holding(there).items()
        if not same:
            self._told = {}
        return not same

    def _stamp(self, condition: Document) -> None:
        kind, holds = condition["type"], condition["status"]
        if self._transitions.get(kind, ("", ""))[0] != holds:
            self._transitions[kind] = (holds, status.now())
        condition["lastTransitionTime"] = self._transitions[kind][1]

    # --- from beginning to end

    async def _live(self) -> None:
        try:
            await self._begin()
        except Stopping:
            pass
        except Exception as error:
            # What the stand-in does not know is told where a test looks.
            self.node.say_error(self, error)
            self._verdict = Verdict("StandInForKubeletFailed", repr(error)[:1000])
            raise
        finally:
            await self.report()

    async def _begin(self) -> None:
        await self.report()
        deadline = self.spec.get("activeDeadlineSeconds")
        timer = asyncio.create_task(self._expire(deadline)) if deadline else None
        try:
            volumes = await self._volumes()
            for state, spec in zip(self.inits, self.spec.get("initContainers") or [], strict=True):
                if await self._container(state, spec, volumes, init=True):
                    return
            tasks = [
                asyncio.create_task(self._container(state, spec, volumes))
                for state, spec in zip(self.containers, self.spec["containers"], strict=True)
            ]
            await asyncio.wait(tasks)
            for task in tasks:
                with contextlib.suppress(Stopping):
                    task.result()
        finally:
            if timer:
                timer.cancel()

    async def _expire(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        message = "Pod was active on the node longer than the specified deadline"
        # Not awaited here: the end of the pod cancels this timer.
        self.node.background(self.end(_LEAST_GRACE_S, Verdict("DeadlineExceeded", message)))

    async def _volumes(self) -> dict[str, Volume]:
        """As long as something is missing the pod is being created; events tell what it waits for."""
        for seconds in backoff.of(backoff.MOUNT_S):
            await self._unless_stopping(self.node.may_start())
            try:
                return await lay_out(self.folder / "volumes", self.facts, self.node.api)
            except Absent as error:
                await self.node.event(self, "FailedMount", f"MountVolume.SetUp failed: {error}")
            except ApiError as error:
                # Something that passes, as with an API server that has just started.
                if error.status not in (403, 404, 429, 500, 503):
                    raise
                await self.node.event(self, "FailedMount", f"MountVolume.SetUp failed: {error}")
            shutil.rmtree(self.folder / "volumes", ignore_errors=True)
            await self._sleep(seconds)
        raise AssertionError

    async def _container(
        self, state: ContainerState, spec: Document, volumes: dict[str, Volume], *, init: bool = False
    ) -> bool:
        """Run it, again and again where the policy says so. Whether it has failed for good."""
        policy = self.spec.get("restartPolicy", "Always")
        if init and policy == "Always":
            policy = "OnFailure"
        for seconds in backoff.of(backoff.RESTART_S, first=0):
            done = await self._once(state, spec, volumes)
            await self.report()
            if policy == "Never" or (policy == "OnFailure" and done.code == 0):
                return done.code != 0
            if self._stop.is_set():
                raise Stopping
            state.last, ended = state.state, state.state
            if seconds:
                what = f"back-off {seconds:.0f}s restarting failed container={state.name} pod={self.name}"
                state.state = status.waiting("CrashLoopBackOff", what)
                await self.report()
                await self._sleep_or(seconds, state, ended)
            state.restarts += 1
        raise AssertionError

    async def _once(self, state: ContainerState, spec: Document, volumes: dict[str, Volume]) -> Exit:
        image = await self._pulled(state, spec)
        folder = self.folder / state.name / str(state.restarts)
        folder.mkdir(parents=True, exist_ok=True)
        log = Log(folder / "log")
        for seconds in backoff.of(backoff.CONFIGURE_S):
            try:
                launch = await configure(self, spec, image, volumes, folder, log)
                break
            except (CannotConfigure, Absent) as error:
                state.state = status.waiting("CreateContainerConfigError", str(error))
                await self.report()
                await self.node.event(self, "Failed", f"Error: {error}")
                await self._sleep(seconds)
        state.identity = f"containerd://{launch.identity}"
        try:
            running = await self.node.engine_of(state.image).start(launch)
        except StartFailed as error:
            state.state = status.terminated(128, "StartError", status.NEVER, str(error))
            await self.node.event(self, "Failed", f"Error: {error}")
            return Exit(128)
        self.logs.setdefault(state.name, []).append(log)
        since = status.now()
        state.state, self.running[state.name] = status.running(since), running
        probes = Probes(self, state, spec, running)
        await self.report()
        if self._stop.is_set():
            running.signal(signal.SIGTERM)
        done = await running.wait()
        probes.stop()
        del self.running[state.name]
        state.ready = False
        state.state = status.terminated(done.code, _reason(done), since, _last_words(spec, folder, log, done))
        await running.remove()
        return done

    async def _pulled(self, state: ContainerState, spec: Document) -> Image:
        never = spec.get("imagePullPolicy") == "Never"
        for attempt, seconds in enumerate(backoff.of(backoff.PULL_S)):
            await self._unless_stopping(self.node.may_start())
            image = (
                None
                if state.image in self.node.unpullable
                else await self.node.engine_of(state.image).image(state.image)
            )
            if image is not None:
                return image
            said = f'rpc error: code = NotFound desc = failed to pull and unpack image "{state.image}": not found'
            if never:
                reason, message = (
                    "ErrImageNeverPull",
                    f'Container image "{state.image}" is not present with pull policy of Never',
                )
            else:
                reason, message = "ErrImagePull", said
            state.state = status.waiting(reason, message)
            await self.report()
            await self.node.event(self, "Failed", f'Failed to pull image "{state.image}": {said}')
            if attempt and not never:
                state.state = status.waiting("ImagePullBackOff", f'Back-off pulling image "{state.image}"')
                await self.report()
            await self._sleep(seconds)
        raise AssertionError

    # --- waiting, which ends when the pod is to end

    async def _sleep(self, seconds: float) -> None:
        # A little apart, so that many pods do not ask in one moment.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds * random.uniform(0.9, 1.1))
            raise Stopping

    async def _sleep_or(self, seconds: float, state: ContainerState, ended: Document) -> None:
        try:
            await self._sleep(seconds)
        except Stopping:
            state.state = ended
            raise

    async def _unless_stopping(self, condition: asyncio.Event) -> None:
        if condition.is_set() and not self._stop.is_set():
            return
        waits = [asyncio.create_task(one.wait()) for one in (condition, self._stop)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if self._stop.is_set():
            raise Stopping


def _holding(pod: Document) -> dict[str, str]:
    return {one["type"]: one["status"] for one in pod.get("conditions") or []}


def _reason(done: Exit) -> str:
    if done.out_of_memory:
        return "OOMKilled"
    return "Completed" if done.code == 0 else "Error"


def _last_words(spec: Document, folder: Path, log: Log, done: Exit) -> str:
    """What the container left in its termination log, else, where the policy says so, the end of its log."""
    with contextlib.suppress(OSError):
        if said := (folder / "termination-log").read_bytes()[:4096].decode(errors="replace"):
            return said
    if done.code and spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
        return log.tail(80, 2048)
    return ""
