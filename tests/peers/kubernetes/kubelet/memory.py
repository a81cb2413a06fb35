"""What the kernel does when a container is out of memory: done by us where no cgroup limits it, found out where one does."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from tests.peers.kubernetes.kubelet import kernel

_PAGE = os.sysconf("SC_PAGE_SIZE")
_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def used(first: int) -> int:
    """Bytes that the processes of a container have, whose process 1 is our `first`; 0 when it is gone."""
    try:  # its own /proc lists its own processes only
        return sum(
            _resident(path) for path in Path("/proc", str(first), "root", "proc").iterdir() if path.name.isdigit()
        )
    except OSError:
        return 0


def kill_largest(first: int) -> bool:
    """SIGKILL for the largest process of that container. False when it is gone."""
    sizes = {pid: _resident(Path(f"/proc/{pid}")) for pid in kernel.processes_of(first)}
    if not sizes:
        return False
    os.kill(max(sizes, key=lambda pid: sizes[pid]), signal.SIGKILL)
    return True


def kills(first: int) -> int:
    """How often the kernel has killed in the cgroup of that process."""
    try:
        lines = Path(f"/proc/{first}/cgroup").read_text().splitlines()
        found = 0
        for _, controllers, path in (line.split(":", 2) for line in lines):
            if not controllers:
                found += _count(Path(f"/sys/fs/cgroup{path}/memory.events"))
            elif "memory" in controllers.split(","):
                found += _count(Path(f"/sys/fs/cgroup/memory{path}/memory.oom_control"))
    except OSError:
        return 0
    return found


def _count(file: Path) -> int:
    found = _KILLS.search(file.read_text()) if file.exists() else None
    return int(found[1]) if found else 0


def _resident(process: Path) -> int:
    """Bytes of its own in memory; what it shares with others (files, its parent's pages after a fork) is not counted."""
    try:
        _size, resident, shared, *_ = (process / "statm").read_text().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE
