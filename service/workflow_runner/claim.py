"""A job is started at most once: whoever creates `claimed` runs it, and holds a lock on `alive` while it runs.

The lock says whether the process lives, whatever became of its pid. It belongs to this process alone: children that
the user's code forks let go of it, and what it starts by exec never gets it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

ALIVE = "alive"
CLAIMED = "claimed"

# The launcher looks at the lock by taking it for a moment.
RETRY_S = 0.01


def claim(folder: str, durable: bool = True) -> bool:
    """True when the job in `folder` is ours now, False when somebody has or had it; `durable`: also after a power cut."""
    path = os.path.join(folder, CLAIMED)
    if not _lock(os.path.join(folder, ALIVE), path):
        return False
    try:
        claimed = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(claimed, "w") as file:
        file.write(f"{os.getpid()}\n")
        file.flush()
        if durable:
            os.fsync(file.fileno())
    if durable:
        sync_directory(folder)
    return True


def sync_directory(folder: str) -> None:
    """Make a new or renamed entry of `folder` durable."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _lock(path: str, claimed: str) -> bool:
    alive = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    while True:
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as exc:
            if exc.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        if os.path.exists(claimed):
            os.close(alive)
            return False
        time.sleep(RETRY_S)
    held = [alive]
    os.register_at_fork(after_in_child=lambda: _release(held))
    return True


def _release(held: list[int]) -> None:
    """In a child; its own children find nothing more to close."""
    while held:
        os.close(held.pop())
