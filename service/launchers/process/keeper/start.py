"""Starting the runner's process by exec in the runner environment, as the runner's user."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .processes import Process, look, put_on


@dataclass(frozen=True)
class Order:
    """`start.json`, written by `service.launchers.process.folder`."""

    id: str
    command: tuple[str, ...]
    environment: dict[str, str]
    directory: str
    user: int | None  # None: the keeper's own
    timeout_s: float
    grace_s: float
    log_bytes: int
    processes: int
    tag: int
    warm: str | None  # the folder of a warm parent
    cold: str  # why there is none, where it is worth telling

    @staticmethod
    def of(document: dict[str, Any]) -> Order:
        return Order(**{**document, "command": tuple(document["command"])})


@dataclass
class Runner:
    """A started runner. `code` waits for its end and tells its exit code; None when nobody can know it."""

    process: Process
    code: Callable[[], int | None]
    ours: bool  # our child, whose exit code is `code`'s to take


def start_cold(order: Order, output: Path) -> Runner:
    """Raises OSError when the command could not be executed."""
    out = os.open(output, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)

    def limit() -> None:
        put_on(order.tag)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if order.user is not None:  # the count is the user's, and the service's own user runs more than jobs
            _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
            most = order.processes if hard == resource.RLIM_INFINITY else min(order.processes, hard)
            resource.setrlimit(resource.RLIMIT_NPROC, (most, most))

    try:
        child = subprocess.Popen(
            order.command,
            cwd=order.directory,
            env=order.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            umask=0o077,
            preexec_fn=limit,  # noqa: PLW1509 (a keeper has one thread)
            user=order.user,
            group=order.user,
            extra_groups=None if order.user is None else [],
        )
    finally:
        os.close(out)
    return Runner(started(child.pid), child.wait, ours=True)


def started(pid: int) -> Process:
    """A process that leads its session; when it has ended already, what is known of it."""
    return look(pid) or Process(pid, os.getpid(), pid, pid, 0, os.getuid())
