"""Starting the runner's process, once: by exec in the runner environment, as the runner's user."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .processes import Process, look


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
    warm: dict[str, Any] | None

    @staticmethod
    def of(document: dict[str, Any]) -> Order:
        return Order(**{**document, "command": tuple(document["command"])})


@dataclass
class Runner:
    """A started runner. `code` asks for its exit code once it ended; None when nobody can know it."""

    process: Process
    code: Callable[[], int | None]


def start_cold(order: Order, output: Path) -> Runner:
    """Raises OSError when the command could not be executed."""
    out = os.open(output, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)

    def limit() -> None:
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
    process = look(child.pid)
    if process is None:  # it has ended already; its zombie keeps the pid ours until `code` is asked
        process = Process(child.pid, os.getpid(), child.pid, child.pid, 0, order.user or 0)
    return Runner(process, child.wait)
