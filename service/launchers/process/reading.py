"""Reading what a job wrote. Its user can put anything there, so nothing is followed, waited for or believed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from service import limits
from service.launchers.lines import event_of, warning
from service.launchers.text import whole


def open_file(path: Path, user: int) -> int | None:
    """A descriptor of the regular file `path` that `user` wrote; None where there is no such file.

    A link would name a file of somebody else's, a FIFO would make us wait, and a file of another owner was linked
    there so that we show it.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode) and status.st_uid == user:
        return handle
    os.close(handle)
    return None


def read_events(path: Path, user: int, position: int) -> tuple[tuple[dict[str, Any], ...], int, bool]:
    """Whole events from byte `position` on, where to go on, and whether whole lines are left beyond.

    A line without its end is left for later: it is being written, or was torn by a kill.
    """
    handle = open_file(path, user)
    if handle is None:
        return (), position, False
    try:
        size = os.fstat(handle).st_size
        if position >= limits.RUN_EVENTS_BYTES:
            # Only the end of an endless file is of use: it may say how the job finished.
            position = max(position, size - limits.EVENT_BYTES)
        data = os.pread(handle, 4 * limits.EVENT_BYTES, position)  # the rest comes with the next look
    finally:
        os.close(handle)
    whole = data.rfind(b"\n") + 1
    if not whole:
        if len(data) < limits.EVENT_BYTES:
            return (), position, False
        return (warning(f"a line of over {limits.EVENT_BYTES} bytes was skipped"),), position + len(data), True
    events = tuple(event_of(line) for line in data[:whole].split(b"\n") if line.strip())
    return events, position + whole, size > position + len(data)


def read_whole(path: Path, user: int, cap: int) -> bytes | None:
    """The file's bytes; None where there is none, and at most one more than `cap`."""
    handle = open_file(path, user)
    if handle is None:
        return None
    with os.fdopen(handle, "rb") as file:
        return file.read(cap + 1)


def read_text(path: Path, offset: int, cap: int) -> tuple[str, int, int]:
    """At most `cap` bytes of UTF-8 from `offset` on (negative: before the end), never cutting a character; where to go on; the
    size."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return "", max(0, offset), 0
    try:
        size = os.fstat(handle).st_size
        offset = max(0, size + offset if offset < 0 else offset)
        data = os.pread(handle, cap, offset)
    finally:
        os.close(handle)
    data = whole(data)
    return data.decode("utf-8", "replace"), offset + len(data), size
