"""The lines of the event file that the service gets, numbered as it numbers them.

Number 0 is `claimed`, which the service wrote itself; the runner's own is passed over. The file is the only memory: what
the service turns out not to have is read again, from whatever number it has to be.
"""

from __future__ import annotations

import json
from typing import Any, Iterator, List, NamedTuple, Tuple

from ..events import LINE_BYTES, encode, now

# As the service's `POD_LINES` and `RUN_EVENTS_BYTES`, with room for the last ones.
LINES = 50_000 - 100
BYTES = 60 * 1024 * 1024
# One message: the service's `POD_LINES_BYTES`, which hold the longest line.
MESSAGE_BYTES = 1024 * 1024
MESSAGE_LINES = 500


class Place(NamedTuple):
    """Where in the file the line `number` is looked for; `full`: only the last event is still wanted."""

    number: int = 1
    offset: int = 0
    full: bool = False


class Lines:
    def __init__(self, path: str) -> None:
        self._path = path
        self._place = Place()

    def take(self, since: int) -> List[bytes]:
        """Whole lines from number `since` on, without their ends, as many as one message holds; none where there is none yet."""
        taken: List[bytes] = []
        size = 0
        for line, following in self._after(self._place if self._place.number == since else Place()):
            if following.number <= since:
                continue
            size += len(line)
            if taken and (size > MESSAGE_BYTES or len(taken) == MESSAGE_LINES):
                break
            taken.append(line)
            self._place = following
        return taken

    def _after(self, place: Place) -> Iterator[Tuple[bytes, Place]]:
        """Each line that is sent, and the place behind it."""
        number, _, full = place
        for line, offset in _whole(self._path, place.offset):
            if not line.strip() or (number == 1 and _is(line, "claimed")):
                continue
            if not full and (number >= LINES or offset > BYTES):
                full = True
                text = f"more than {LINES} events or {BYTES} bytes of them: only the last is still kept"
                said = encode({"event": "warning", "at": now(), "text": text}).rstrip(b"\n")
            elif full and not _is(line, "finished"):
                continue
            else:
                said = line
            number += 1
            yield said, Place(number, offset, full)


def finishes(lines: List[bytes]) -> bool:
    return any(_is(line, "finished") for line in lines)


def _whole(path: str, offset: int) -> Iterator[Tuple[bytes, int]]:
    """Lines with their ends here, and where each ends. Of one that is too long its beginning: the service says so."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except OSError:
        return
    with file:
        file.seek(offset)
        while True:
            line = rest = file.readline(LINE_BYTES + 2)
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(LINE_BYTES)
            if not rest:
                return  # it is still being written, or a kill tore it
            yield line.rstrip(b"\n"), file.tell()


def _is(line: bytes, event: str) -> bool:
    if b'"' + event.encode() + b'"' not in line[:200]:
        return False
    try:
        said: Any = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("event") == event
