"""A container's log as the container runtimes keep it: lines with a time each, read back as `kubectl logs` asks.

The format is CRI's: `2026-01-01T00:00:00.123456789Z stdout F the line`, F for a full line and P for a part of one.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

# containerd's max_container_log_line_size.
_LINE_BYTES = 16 * 1024
_READ_BYTES = 64 * 1024


@dataclass(frozen=True)
class Wish:
    """The query of a request for a log: PodLogOptions of the API."""

    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    limit: int | None = None
    since: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wish:
        since = query.get("sinceTime", "")
        if "sinceSeconds" in query:
            since = (datetime.now(UTC) - timedelta(seconds=int(query["sinceSeconds"]))).isoformat()
        return cls(
            follow=query.get("follow") in ("true", "1"),
            timestamps=query.get("timestamps") in ("true", "1"),
            tail=int(query["tailLines"]) if "tailLines" in query else None,
            limit=int(query["limitBytes"]) if "limitBytes" in query else None,
            since=_comparable(since) if since else "",
        )


class Log:
    """Written by the kubelet from the container's pipe, read by any number of requests."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rest = b""
        self._changed = asyncio.Event()
        self.ended = asyncio.Event()
        path.touch(mode=0o600)

    def follow_pipe(self, fd: int) -> None:
        """Takes over the reading end of the container's output; the log ends when every writer is gone."""
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self._read, fd)

    async def read(self, wish: Wish) -> AsyncIterator[bytes]:
        """The text, in pieces as they come."""
        left, position, first = wish.limit, 0, True
        while True:
            changed, ended = self._changed, self.ended.is_set()
            with self.path.open("rb") as file:
                file.seek(position)
                *lines, _ = file.read().split(b"\n")  # not splitlines: a line may hold \r
                position = file.tell()
            if first and wish.tail is not None:
                lines = lines[-wish.tail :] if wish.tail else []
            first = False
            text = b"".join(_shown(line, wish) for line in lines)
            if left is not None:
                text, left = text[:left], left - min(left, len(text))
            if text:
                yield text
            if left == 0 or ended or not wish.follow:
                return
            await changed.wait()

    def tail(self, lines: int, size: int) -> str:
        """Its end, of at most so many lines and characters."""
        kept = self.path.read_bytes().split(b"\n")[-lines - 1 : -1]
        return b"".join(_shown(line, Wish()) for line in kept).decode(errors="replace")[-size:]

    def _read(self, fd: int) -> None:
        try:
            piece = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return
        if piece:
            self._append(piece)
            return
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
        if self._rest:
            self._write([(b"P", self._rest)])
        self.ended.set()
        self._tell()

    def _append(self, piece: bytes) -> None:
        *full, self._rest = (self._rest + piece).split(b"\n")
        entries: list[tuple[bytes, bytes]] = []
        for line in full:
            *parts, last = [line[at : at + _LINE_BYTES] for at in range(0, max(len(line), 1), _LINE_BYTES)]
            entries += [*((b"P", part) for part in parts), (b"F", last)]
        while len(self._rest) >= _LINE_BYTES:
            entries.append((b"P", self._rest[:_LINE_BYTES]))
            self._rest = self._rest[_LINE_BYTES:]
        if entries:
            self._write(entries)
            self._tell()

    def _write(self, entries: list[tuple[bytes, bytes]]) -> None:
        with self.path.open("ab") as file:
            file.writelines(b"%s stdout %s %s\n" % (_stamp(), kind, text) for kind, text in entries)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _stamp() -> bytes:
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z".encode()


def _comparable(moment: str) -> str:
    """RFC 3339 in the form of our stamps, so that they compare as text."""
    whole = datetime.fromisoformat(moment).astimezone(UTC)
    fraction = moment.partition(".")[2].split("Z")[0].split("+")[0] if "." in moment else ""
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{fraction[:9]:0<9}Z"


def _shown(line: bytes, wish: Wish) -> bytes:
    stamp, _, kind, text = line.split(b" ", 3)
    if wish.since and stamp.decode() < wish.since:
        return b""
    return (stamp + b" " if wish.timestamps else b"") + text + (b"\n" if kind == b"F" else b"")
