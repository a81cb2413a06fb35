"""Where in a pod's log the stored part ends, so that a log that is asked for again is neither doubled nor has holes. Pure.

The API server knows no byte offsets, and nodes rotate logs. But it gives each line its time, and lines since a time. So a mark is a pod, the
time of the last line that was taken, and how many lines of that very time were. What comes again up to the mark is passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from service import limits

_LINE = re.compile(rb"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?")
_CUT = b" ... (this line is longer than is kept)"
_NANO = 10**9


@dataclass(frozen=True, slots=True)
class Mark:
    """`time_ns` since the epoch."""

    pod: str = ""
    time_ns: int = 0
    lines: int = 0

    def __str__(self) -> str:
        return f"{self.pod} {self.time_ns} {self.lines}" if self.pod else ""

    @classmethod
    def read(cls, text: str, pod: str) -> Mark:
        """The mark for this pod: at its beginning when the one in the store is another pod's."""
        known = text.split(" ")
        if len(known) == 3 and known[0] == pod:
            return cls(pod, int(known[1]), int(known[2]))
        return cls(pod)

    @property
    def since(self) -> str | None:
        """The API's `sinceTime`, which is exact to a second."""
        return f"{datetime.fromtimestamp(self.time_ns // _NANO).astimezone().isoformat()}" if self.time_ns else None


class Reader:
    """One answer of the API, from `mark.since` on: pieces of lines with times in, text that is new out."""

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        self._begun_at = mark
        self._same = 0  # lines of the mark's own time that came again
        self._rest = b""
        self._cutting = False

    def feed(self, piece: bytes) -> bytes:
        """Whole lines; the rest of the last one waits for its end."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        new = b"".join(self._take(line + b"\n") for line in lines)
        if len(self._rest) > limits.LOG_CHUNK_BYTES:
            # Kept as a whole line; the times of lines begin again behind its end.
            new += b"" if self._cutting else self._take(self._rest + _CUT + b"\n")
            self._rest, self._cutting = b"", True
        return new

    def end(self) -> bytes:
        """The last line, which has no end: nothing more will be printed."""
        rest, self._rest = self._rest, b""
        return self._take(rest) if rest else b""

    def _take(self, line: bytes) -> bytes:
        if self._cutting:
            self._cutting = False
            return b""
        found = _LINE.match(line)
        if found is None:
            return b""  # the node's own words, when it cannot read the log
        time_ns = _time_ns(*found.groups())
        if time_ns < self._begun_at.time_ns:
            return b""
        if time_ns == self._begun_at.time_ns:
            self._same += 1
            if self._same <= self._begun_at.lines:
                return b""
        same = self.mark.lines + 1 if time_ns == self.mark.time_ns else 1
        self.mark = Mark(self.mark.pod, time_ns, same)
        return line[found.end() :]


def _time_ns(second: bytes, fraction: bytes | None, zone: bytes) -> int:
    whole = datetime.fromisoformat((second + zone).decode())
    return int(whole.timestamp()) * _NANO + int((fraction or b"").ljust(9, b"0"))
