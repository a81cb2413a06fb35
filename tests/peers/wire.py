"""A network that can be cut: a TCP port on loopback behind which lies a server's Unix socket.

Cut, it takes what is sent and hands nothing on, as a network does that drops packets, or a proxy that hangs; mended, it hands on what it
held back. `refuse` is the other kind: connections end, and new ones are refused at once.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

_PIECE = 65536


class Wire:
    def __init__(self, to: Path) -> None:
        self._to = to
        self._whole = threading.Event()
        self._whole.set()
        self._refused = False
        self._ended = False
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._whole.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._drop()

    def cut(self) -> None:
        self._whole.clear()

    def refuse(self) -> None:
        self._refused = True
        self._drop()

    def mend(self) -> None:
        self._refused = False
        self._whole.set()

    def _drop(self) -> None:
        with self._lock:
            ends, self._ends = self._ends, set()
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._ended:
            try:
                theirs, _ = self._listening.accept()
            except OSError:
                return
            if self._refused:
                theirs.close()
                continue
            threading.Thread(target=self._connect, args=(theirs,), daemon=True).start()

    def _connect(self, theirs: socket.socket) -> None:
        self._whole.wait()
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            ours.connect(str(self._to))
        except OSError:
            theirs.close()
            ours.close()
            return
        with self._lock:
            self._ends |= {theirs, ours}
        back = threading.Thread(target=self._hand_on, args=(ours, theirs), daemon=True)
        back.start()
        self._hand_on(theirs, ours)
        back.join()
        with self._lock:
            self._ends -= {theirs, ours}
        theirs.close()
        ours.close()

    def _hand_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                self._whole.wait()
                target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
