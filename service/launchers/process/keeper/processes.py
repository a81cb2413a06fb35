"""Which processes belong to a job, and ending them all.

A process is a member when one of these holds: it descends from the keeper (which is a subreaper: what a job
double-forks comes back to it) or from the runner; it is in the runner's session; it carries the job's tag. The tag is
a number in the one resource limit that means nothing to Linux (RLIMIT_LOCKS, since 2.4): whatever a process does
(fork, exec, setsid, close its files, empty its environment), its limits go with it, and can't be raised again.

A pid is never trusted by itself: it comes with the time its process started, and a signal goes through a
pidfd opened before that was checked.
"""

from __future__ import annotations

import ctypes
import os
import resource
import secrets
import signal
import time
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_RLIMIT_LOCKS = 10  # the same on every architecture; Python has no name for it
_END_S = 20.0
_QUIET_LOOKS = 3


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    group: int
    session: int
    start_time: int
    user: int


@dataclass(frozen=True)
class Kin:
    """What makes a process a member of a job."""

    tag: int
    user: int


def become_subreaper() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def look(pid: int) -> Process | None:
    """The living process `pid`; None when there is none, or only its zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - every process is looked at, and a Path takes longer
            stat = file.read()
        user = os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116 - as above
    except OSError:
        return None
    # The name in parentheses may hold anything, a closing parenthesis included.
    fields = stat[stat.rindex(b")") + 2 :].split()
    if fields[0] in (b"Z", b"X"):
        return None
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), user)


def everything() -> dict[int, Process]:
    pids = (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())
    return {process.pid: process for process in map(look, pids) if process is not None}


def members(kin: Kin, roots: tuple[Process, ...] = ()) -> list[Process]:
    """The job's living processes. `roots` are its runner, as far as known."""
    here = os.getpid()
    found = everything()
    alive_roots = {root.pid for root in roots if (now := found.get(root.pid)) and now.start_time == root.start_time}
    # A session outlives its leader; when another process has the leader's pid by now, it is another session.
    sessions = {root.pid for root in roots if root.pid in alive_roots or root.pid not in found}
    chosen = {
        pid
        for pid, process in found.items()
        if pid in alive_roots or (process.session in sessions and process.user == kin.user) or _is_kin(process, kin)
    }
    children: dict[int, list[int]] = {}
    for pid, process in found.items():
        children.setdefault(process.parent, []).append(pid)
    waiting = [*chosen, here]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in chosen:
                chosen.add(child)
                waiting.append(child)
    chosen.discard(here)
    return [found[pid] for pid in chosen]


def _is_kin(process: Process, kin: Kin) -> bool:
    if process.user != kin.user:
        return False
    try:
        limits = Path(f"/proc/{process.pid}/limits").read_bytes()
    except OSError:
        return False
    line = next((line for line in limits.splitlines() if line.startswith(b"Max file locks")), b"")
    return str(kin.tag).encode() in line.split()


def new_tag() -> int:
    """A number that no other job has, and that may be set here: we could be part of a job ourselves."""
    _, hard = resource.getrlimit(_RLIMIT_LOCKS)
    most = 1 << 62 if hard == resource.RLIM_INFINITY else hard
    return 1 + secrets.randbelow(most)


def put_on(tag: int) -> None:
    """Tag this process and all that will descend from it."""
    resource.setrlimit(_RLIMIT_LOCKS, (tag, tag))


def send(process: Process, number: signal.Signals) -> None:
    """Signal exactly this process, not one that got its pid later."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        now = look(process.pid)
        if now is not None and now.start_time == process.start_time:
            signal.pidfd_send_signal(handle, number)
    except OSError:
        pass
    finally:
        os.close(handle)


def end_all(kin: Kin, roots: tuple[Process, ...] = ()) -> bool:
    """SIGKILL every member until none is left; False when some would not go.

    Stopped first, killed second, and looked for again: a job that forks without end must not run away between two
    looks. Those that descend from us can't: whatever their parents do, in the end they are our children.
    """
    deadline = time.monotonic() + _END_S
    quiet = 0
    while quiet < _QUIET_LOOKS and time.monotonic() < deadline:
        reap()
        left = members(kin, roots)
        quiet = 0 if left or has_children() else quiet + 1
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in left:
                send(process, number)
        time.sleep(0.005)
    return quiet == _QUIET_LOOKS


def has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def reap(keep: int | None = None) -> dict[int, int]:
    """Take the exit codes of children that ended, orphans of the job among them; `keep` is left for its owner."""
    codes: dict[int, int] = {}
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid == keep:
                return codes
            pid, status = os.waitpid(ended.si_pid, 0)
        except ChildProcessError:
            return codes
        codes[pid] = os.waitstatus_to_exitcode(status)
