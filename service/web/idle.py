"""Lets go of connections on which nothing moves: granian waits for a body that never comes as long as its sender likes.

Each such body holds a thread, also when the sender's machine is long gone. The kernel knows when a connection last
moved; one that did not for a while, in either direction, is shut down, and whoever waits for it reads its end.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

_DESCRIPTORS = Path("/proc/self/fd")
# Longer than any request of ours is silent: the API answers a waiting reader within half a minute.
IDLE_S = 90.0
# linux/tcp.h, struct tcp_info: tcpi_last_data_sent, tcpi_last_ack_sent, tcpi_last_data_recv, in ms.
_TCP_INFO = struct.Struct("44xIII")


def watch(port: int, idle_s: float = IDLE_S) -> None:
    """Look after the connections to `port`, from a thread, until the process ends."""
    if not _DESCRIPTORS.is_dir():
        return
    pause = threading.Event()

    def look_again_and_again() -> None:
        while not pause.wait(idle_s / 6):
            close_idle(port, idle_s)

    threading.Thread(target=look_again_and_again, name="idle-connections", daemon=True).start()


def close_idle(port: int, idle_s: float) -> int:
    """Shut down the connections to our `port` that are silent for `idle_s` seconds; returns how many."""
    closed = 0
    for entry in list(_DESCRIPTORS.iterdir()):
        for connection in _connection(int(entry.name), port):
            with suppress(OSError):
                if _silent_s(connection) >= idle_s:
                    connection.shutdown(socket.SHUT_RDWR)
                    closed += 1
    return closed


def _connection(fd: int, port: int) -> Iterator[socket.socket]:
    """The connection that is `fd`, if it is one of ours; by a descriptor of our own, so that it can't turn into another."""
    with suppress(OSError):
        mine = os.dup(fd)
        if not stat.S_ISSOCK(os.fstat(mine).st_mode):
            os.close(mine)
            return
        with closing(socket.socket(fileno=mine)) as found:
            if found.family in (socket.AF_INET, socket.AF_INET6) and found.getsockname()[1] == port:
                found.getpeername()  # a listening socket has none
                yield found


def _silent_s(connection: socket.socket) -> float:
    sent, _, received = _TCP_INFO.unpack(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))
    return float(min(sent, received)) / 1000
