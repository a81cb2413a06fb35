"""Process mode: a container is a process of this machine in namespaces of its own (mounts, processes, host name)."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

from tests.peers.kubernetes.kubelet import child, kernel, memory
from tests.peers.kubernetes.kubelet.engine import Exit, Launch, StartFailed
from tests.peers.kubernetes.kubelet.images import Image, find
from tests.peers.kubernetes.kubelet.room import Room

# The memory of a container that has a limit is looked at so often; with very many of them, so many are in a second.
_LOOK_S, _LOOKS = 0.1, 300


class ProcessEngine:
    """`images` may be changed at any time. `hidden` folders of the machine are empty for containers."""

    def __init__(self, images: dict[str, Image], hidden: tuple[Path, ...]) -> None:
        self.images = images
        self._hidden = hidden
        self.limited = 0
        # Forks block the loop: one at a time, so that heartbeats and others have their turn between two.
        self._forking = asyncio.Semaphore(1)

    async def image(self, name: str) -> Image | None:
        return find(self.images, name)

    async def start(self, launch: Launch) -> ProcessContainer:
        command = launch.command if launch.command is not None else launch.image.entrypoint
        args = launch.args if launch.args is not None else (launch.image.command if launch.command is None else ())
        if not (words := [*command, *args]):
            raise StartFailed("failed to create containerd task: no command specified")
        folder = launch.folder / "root"
        folder.mkdir(parents=True, exist_ok=True)
        room = Room(
            folder=folder,
            hostname=launch.hostname,
            # MLRun gives "./": relative to the image's.
            workdir=os.path.normpath(Path(launch.image.workdir) / (launch.workdir or "")),
            user=launch.user,
            binds=launch.binds,
            hidden=self._hidden,
            read_only=launch.read_only_root,
            files=launch.image.files,
        )
        async with self._forking:
            process = _fork(words, room, launch)
        return ProcessContainer(self, process, launch)


class ProcessContainer:
    """One process 1 and what it started."""

    def __init__(self, engine: ProcessEngine, process: subprocess.Popen[bytes], launch: Launch) -> None:
        self._engine = engine
        self._process = process
        self._launch = launch
        self._out_of_memory = False
        self._ended = child.end_of(process)
        self._look = asyncio.create_task(self._watch_memory(launch.memory)) if launch.memory else None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> Exit:
        code = await asyncio.shield(self._ended)
        await self._launch.log.ended.wait()
        return Exit(code if code >= 0 else 128 - code, self._out_of_memory)

    def signal(self, number: int) -> None:
        if not self._ended.done():
            os.kill(self.pid, number)

    def run_out_of_memory(self) -> None:
        self._out_of_memory = memory.kill_largest(self.pid) or self._out_of_memory

    async def remove(self) -> None:
        if self._look:
            self._look.cancel()

    async def _watch_memory(self, limit: int) -> None:
        self._engine.limited += 1
        try:
            while not self._ended.done():
                await asyncio.sleep(max(_LOOK_S, self._engine.limited / _LOOKS))
                if memory.used(self.pid) > limit:
                    self.run_out_of_memory()
        finally:
            self._engine.limited -= 1


def _fork(words: list[str], room: Room, launch: Launch) -> subprocess.Popen[bytes]:
    reading, writing = os.pipe()
    launch.log.follow_pipe(reading)
    try:
        with kernel.new_pids():
            return subprocess.Popen(
                words,
                env=launch.env,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
                preexec_fn=room.enter,  # noqa: PLW1509 - the kubelet has one thread
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise StartFailed(_said(words[0], error)) from error
    finally:
        os.close(writing)


def _said(program: str, error: Exception) -> str:
    """As containerd and runc put it."""
    start = "failed to create containerd task: OCI runtime create failed: container_linux.go:380: starting container process caused: "
    if isinstance(error, FileNotFoundError) and "/" in program:
        return f'{start}exec: "{program}": stat {program}: no such file or directory: unknown'
    if isinstance(error, FileNotFoundError):
        return f'{start}exec: "{program}": executable file not found in $PATH: unknown'
    if isinstance(error, PermissionError):
        return f'{start}exec: "{program}": permission denied: unknown'
    return f"{start}{error}"
