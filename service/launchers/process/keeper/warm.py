"""Asking a warm parent for a runner: a child that it forks, with MLRun imported already.

Whatever goes wrong is a reason for a cold start, also when the parent may have forked a child by then: of two runners
one gets the claim, and the other ends.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import layout
from .processes import look
from .start import Order, Runner, started

_WAIT_S = 60.0  # for a parent that is importing: about 7 s, as a cold start would need too
_BIRTH_S = 3.0  # for a parent that was just started, until it has its lock
_ANSWER_S = 10.0


class Cold(Exception):
    """No warm start; says why."""


def start_warm(order: Order, job: Path, stop: Callable[[], object]) -> Runner:
    """Raises Cold, also when `stop` says that the job is not wanted any more."""
    try:
        connection = _connect(Path(order.warm or ""), stop)
        try:
            reply = _ask(connection, order, job)
        except BaseException:
            connection.close()
            raise
    except (OSError, ValueError) as error:
        raise Cold(f"the warm parent did not answer: {error}") from error
    return Runner(started(reply), lambda: _code(connection), ours=False)


def _connect(folder: Path, stop: Callable[[], object]) -> socket.socket:
    """A connection to the parent, waited for while it is importing."""
    begun = time.monotonic()
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # By way of the descriptor: the path of a socket may have 107 bytes at most.
        address = f"/proc/self/fd/{directory}/{layout.SOCKET}"
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(_ANSWER_S)
            try:
                connection.connect(address)
                return connection
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
            waited = time.monotonic() - begun
            if stop():
                raise Cold("it is not wanted any more")
            if waited > _WAIT_S:
                raise Cold(f"the warm parent was not ready after {_WAIT_S:.0f} s")
            if waited > _BIRTH_S and not layout.held(folder / layout.SOCKET_LOCK):
                raise Cold("the warm parent has ended; the service's log says why")
            time.sleep(0.05)
    finally:
        os.close(directory)


def _ask(connection: socket.socket, order: Order, job: Path) -> int:
    """The pid of the child. Raises Cold, OSError, ValueError."""
    user = os.getuid() if order.user is None else order.user
    parent, owner, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if owner != user:
        raise Cold(f"the warm parent is a process of user {owner}")
    request = {
        "job": str(job / layout.JOB),
        "log": str(job / layout.FOLDER / layout.OUTPUT),
        "cwd": order.directory,
        "env": order.environment,
        "uid": order.user,
        "processes": order.processes if order.user is not None else None,
        "tag": order.tag,
    }
    connection.sendall(json.dumps(request).encode() + b"\n")
    reply = _line(connection)
    if "cold" in reply:
        raise Cold(str(reply["cold"]))
    pid = reply.get("pid")
    if not isinstance(pid, int):
        raise Cold(f"the warm parent refused: {reply.get('error')}")
    process = look(pid)
    if process is not None and (process.parent != parent or process.user != user):
        raise Cold(f"the warm parent named process {pid}, which is not its child")
    return pid


def _code(connection: socket.socket) -> int | None:
    """The child's exit code; None when its parent died before it."""
    try:
        code = _line(connection).get("exit")
    except (OSError, ValueError):
        return None
    finally:
        connection.close()
    return code if isinstance(code, int) else None


def _line(connection: socket.socket) -> dict[str, Any]:
    data = b""
    while not data.endswith(b"\n"):
        # Byte by byte: the next line is the exit code, which is read much later.
        more = connection.recv(1)
        if not more or len(data) > 65536:
            raise ValueError("the connection ended within a line")
        data += more
    document = json.loads(data)
    if not isinstance(document, dict):
        raise ValueError("no object")  # noqa: TRY004
    return document
