"""What the service's processes ask of the kernel: to keep their memory to themselves, and not to outlive their master."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from service.errors import GitopsError

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4


def keep_memory_private() -> None:
    """No core dump and no debugger of the same user may read secrets from this process; its children inherit that until exec."""
    _prctl(_PR_SET_DUMPABLE, 0)


def die_with(master: int) -> None:
    """Be killed when `master`, the process that forked this one, ends however it ends; also when it has ended by now."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != master:
        os.kill(os.getpid(), signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise GitopsError(f"prctl({option}) failed: {os.strerror(ctypes.get_errno())}")
