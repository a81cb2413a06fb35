"""The few system calls that a container is made of and that Python lacks, by way of the C library."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEW_MOUNTS, NEW_NAMES, NEW_PIDS = 0x00020000, 0x04000000, 0x20000000
READ_ONLY, NO_SUID, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 2, 32, 4096, 16384, 1 << 18
_PARENT_DEATH, _CAPABILITY_BOUND_DROP, _NO_NEW_PRIVILEGES = 1, 24, 38
_LAST_CAPABILITY = 40
_KILL = 9
_DETACH = 2
# What a container engine leaves to root in a container (Docker's default list, by number in linux/capability.h).
_DEFAULT_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31})

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, options: str | None = None) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind, options)]
    _check(_libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]), f"mount {source} on {target}")


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def change_root(root: str) -> None:
    """`root`, a mount, becomes /; all that was mounted before is let go."""
    os.chdir(root)
    _check(_libc.pivot_root(b".", b"."), f"pivot_root {root}")
    _check(_libc.umount2(b".", _DETACH), "umount of the old root")
    os.chdir("/")


def set_hostname(name: str) -> None:
    raw = name.encode()[:63]
    _check(_libc.sethostname(raw, len(raw)), "sethostname")


@contextmanager
def new_pids() -> Iterator[None]:
    """Within it, each child begins a process namespace of its own: it is process 1 there, and all end with it."""
    ours = os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:
        unshare(NEW_PIDS)
        try:
            yield
        finally:
            _check(_libc.setns(ours, NEW_PIDS), "setns")
    finally:
        os.close(ours)


def become(uid: int, gid: int, groups: tuple[int, ...], *, no_new_privileges: bool, drop_all: bool) -> None:
    """Give up what a container may not have; killed with its parent from here on."""
    for capability in range(_LAST_CAPABILITY + 1):
        if drop_all or capability not in _DEFAULT_CAPABILITIES:
            _libc.prctl(_CAPABILITY_BOUND_DROP, capability, 0, 0, 0)  # an older kernel has fewer
    os.setgroups(groups)
    os.setgid(gid)
    os.setuid(uid)
    if no_new_privileges:
        _check(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no_new_privs")
    _check(_libc.prctl(_PARENT_DEATH, _KILL, 0, 0, 0), "pdeathsig")


def processes_of(pid: int) -> list[int]:
    """The processes of the namespace whose process 1 is `pid`, by our numbers; empty when it is gone."""
    try:
        space = Path(f"/proc/{pid}/ns/pid").readlink()
    except OSError:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "ns/pid").readlink() == space:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
