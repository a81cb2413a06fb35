"""Podman mode: a pod's containers with an image of this machine (`localhost/...`) are real containers of podman and runc."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.peers.kubernetes.kubelet import child, memory
from tests.peers.kubernetes.kubelet.engine import Exit, Launch, StartFailed
from tests.peers.kubernetes.kubelet.images import Image

# The process of the kubelet that a container is of.
LABEL = "gitops-peer-kubelet"
_KILLED = 128 + signal.SIGKILL
_LOOK_S = 0.1
_NOT_STARTED = (125, 126, 127)
# podman needs its own of these, so the container's are told in words.
_SPOKEN = ("PATH", "HOME", "TMPDIR")
_SPOKEN_TOO = ("LD_", "XDG_", "CONTAINERS_")


class PodmanEngine:
    """`environment` says where podman's storage is."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {**os.environ, **environment}

    async def image(self, name: str) -> Image | None:
        code, found = await self.call("image", "inspect", name)
        if code:
            return None
        config: dict[str, Any] = json.loads(found)[0]["Config"]
        return Image(
            env=dict(pair.split("=", 1) for pair in config.get("Env") or []),
            user=config.get("User") or "0",
            workdir=config.get("WorkingDir") or "/",
        )

    async def start(self, launch: Launch) -> PodmanContainer:
        name = f"k8s-{launch.identity}"
        reading, writing = os.pipe()
        launch.log.follow_pipe(reading)
        # A variable's value may be a secret, and command lines are everybody's: podman takes it from its own environment.
        lent = {key: value for key, value in launch.env.items() if not _spoken(key)}
        words = ["run", "--name", name, "--label", f"{LABEL}={os.getpid()}", *_options(launch)]
        try:
            process = subprocess.Popen(
                ["podman", *words, launch.image_name, *(launch.args or ())],
                env={**self._environment, **lent},
                cwd=launch.folder,  # where conmon leaves its notes
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
            )
        finally:
            os.close(writing)
        container = PodmanContainer(self, name, process, launch)
        if (said := await container.refused()) is not None:
            await container.remove()
            raise StartFailed(f"failed to create containerd task: {said}")
        return container

    async def clear(self) -> None:
        """Remove what kubelets left that are no more."""
        _, known = await self.call(
            "ps", "--all", "--filter", f"label={LABEL}", "--format", f'{{{{.ID}}}} {{{{index .Labels "{LABEL}"}}}}'
        )
        for identity, pid in (line.split() for line in known.splitlines() if len(line.split()) == 2):
            if pid == str(os.getpid()) or not Path(f"/proc/{pid}").exists():
                await self.call("rm", "--force", "--volumes", "--time", "0", "--ignore", identity)

    async def call(self, *words: str) -> tuple[int, str]:
        return await child.run(["podman", *words], self._environment)


class PodmanContainer:
    """One container; `podman run` stays with it and ends as it does."""

    def __init__(self, engine: PodmanEngine, name: str, process: subprocess.Popen[bytes], launch: Launch) -> None:
        self._engine, self._name, self._launch = engine, name, launch
        self._out_of_memory = self._killed = False
        self.pid = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended = child.end_of(process)

    async def refused(self) -> str | None:
        """What podman said where it could not start the container; None as soon as it runs or has run."""
        while True:
            code, state = await self._inspect("{{.State.Status}} {{.State.Pid}}")
            status, _, pid = state.strip().partition(" ")
            if code == 0 and status in ("running", "exited", "stopped"):
                self.pid = int(pid)
                self._tasks.add(asyncio.create_task(self._watch_memory()))
                return None
            if self._ended.done():
                await self._launch.log.ended.wait()
                return self._launch.log.tail(5, 1000) if self._ended.result() in _NOT_STARTED else None
            await asyncio.sleep(0.05)

    async def wait(self) -> Exit:
        code = await asyncio.shield(self._ended)
        await self._launch.log.ended.wait()
        if code == _KILLED and self._launch.memory and not self._killed:
            self._out_of_memory = True  # conmon does not always say so
        return Exit(code if code >= 0 else 128 - code, self._out_of_memory)

    def signal(self, number: int) -> None:
        if not self._ended.done():
            self._killed = self._killed or number == signal.SIGKILL
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def run_out_of_memory(self) -> None:
        self._out_of_memory = memory.kill_largest(self.pid) or self._out_of_memory

    async def remove(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._engine.call("rm", "--force", "--volumes", "--time", "0", "--ignore", self._name)

    async def _watch_memory(self) -> None:
        while not self._ended.done() and self._launch.memory:
            self._out_of_memory = self._out_of_memory or memory.kills(self.pid) > 0
            await asyncio.sleep(_LOOK_S)

    async def _inspect(self, template: str) -> tuple[int, str]:
        return await self._engine.call("container", "inspect", "--format", template, self._name)


def _spoken(variable: str) -> bool:
    return variable in _SPOKEN or variable.startswith(_SPOKEN_TOO)


def _options(launch: Launch) -> list[str]:
    user = launch.user
    words = ["--pull", "never", "--network", "host", "--log-driver", "none", "--no-healthcheck", "--no-hosts"]
    if user.uid is not None:
        words += ["--user", f"{user.uid}" if user.gid is None else f"{user.uid}:{user.gid}"]
    words += [f"--group-add={group}" for group in user.groups]
    words += ["--hostname", launch.hostname]
    for bind in launch.binds:
        words += ["--volume", f"{bind.source}:{bind.target}{':ro' if bind.read_only else ''}"]
    for name, value in launch.env.items():
        words += ["--env", f"{name}={value}" if _spoken(name) else name]
    if launch.read_only_root:
        words += ["--read-only", "--read-only-tmpfs=false"]
    if user.no_new_privileges:
        words += ["--security-opt", "no-new-privileges"]
    if user.drop_all:
        words += ["--cap-drop", "ALL"]
    if launch.memory:
        words += ["--memory", str(launch.memory), "--memory-swap", str(launch.memory)]
    if launch.workdir:
        words += ["--workdir", str(Path(launch.image.workdir, launch.workdir))]
    if launch.command is not None:
        words += ["--entrypoint", json.dumps(launch.command)]
    return words
