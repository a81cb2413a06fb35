"""What runs containers: the seam between a pod's life and the two ways of running one (`process.py`, `podman.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.peers.kubernetes.kubelet.images import Image
from tests.peers.kubernetes.kubelet.logs import Log
from tests.peers.kubernetes.kubelet.room import Bind, User


class StartFailed(Exception):
    """The runtime could not start the container; the text is a runtime's."""


@dataclass(frozen=True)
class Exit:
    """How a container ended. `code` is 128 + the signal's number for what a signal ended."""

    code: int
    out_of_memory: bool = False


@dataclass(frozen=True)
class Launch:
    """Everything known of a container that is to start now. `command` and `args` are None where the pod leaves them to the image."""

    identity: str
    image_name: str
    image: Image
    command: tuple[str, ...] | None
    args: tuple[str, ...] | None
    env: dict[str, str]
    workdir: str | None
    user: User
    binds: tuple[Bind, ...]
    folder: Path
    hostname: str
    read_only_root: bool
    memory: int | None
    log: Log


class Running(Protocol):
    """A container that was started; `pid` is its process 1 by the machine's numbers."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> Exit:
        """When it has ended and its log is whole. May be awaited by several."""
        ...

    def signal(self, number: int) -> None:
        """To its process 1; nothing once it has ended."""
        ...

    def run_out_of_memory(self) -> None:
        """What the kernel does at the limit: its largest process is killed."""
        ...

    async def remove(self) -> None:
        """What it leaves besides its log."""
        ...


class Engine(Protocol):
    """A way of running containers."""

    async def image(self, name: str) -> Image | None:
        """None: it is not known here."""
        ...

    async def start(self, launch: Launch) -> Running:
        """Raises StartFailed."""
        ...
