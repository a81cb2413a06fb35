"""The files of a job's folder. The service and the keeper write the upper ones, the runner only below `folder`.

```
<runs_dir>/<id>/      of the service's user; nobody else writes here
    job.json          the runner's document (0640, its user's group: it may hold secrets)
    start.json        how to start it: command, environment, limits (0600: it may hold secrets)
    lock              held by the keeper, from before the start until `ended` is written
    started           the keeper's first act: the clock its deadline counts from
    process           pid and start time of the runner's process
    cancelled         end it, or never start it; holds the reason
    ended             reason and exit code; no more events will come
    log               what the job printed, up to the cap
    source/           the commit's files   } the runner's user's own; everything below
    folder/           the runner's folder  } is read as hostile
        alive claimed events.jsonl result.json artifacts/ home/ tmp/
        log           a FIFO: the job's stdout and stderr, read by the keeper
```
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

JOB = "job.json"
START = "start.json"
LOCK = "lock"
STARTED = "started"
PROCESS = "process"
CANCELLED = "cancelled"
ENDED = "ended"
LOG = "log"
SOURCE = "source"
FOLDER = "folder"

ALIVE = "alive"
CLAIMED = "claimed"
EVENTS = "events.jsonl"
RESULT = "result.json"
ARTIFACTS = "artifacts"
OUTPUT = "log"

# Where a warm parent lives: `<runs_dir>/.warm/<key>/`, of the runner's user.
WARM = ".warm"
SOCKET = "socket"
SOCKET_LOCK = "socket.lock"  # the parent's own


def write_document(
    path: Path, document: dict[str, Any], *, mode: int = 0o600, group: int = -1, last: bool = True
) -> None:
    """Write a small JSON file so that after any crash it is there whole or not at all.

    Not the `last`: it is certain to be there only when the next one in this folder is.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            if group != -1:
                os.fchown(file.fileno(), -1, group)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if last:
        sync_directory(path.parent)


def read_document(path: Path) -> dict[str, Any] | None:
    """A file of `write_document`, or None where there is none."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def held(path: Path) -> bool:
    """Whether somebody lives who locked this file, which others may have put there: what can't be opened is held by nobody."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
