"""What happens, as lines of JSON in the job's event file, each of a run on disk before the next thing is done.

The file is the one truth that launchers read. A line that a full disk tore is ended before the next one is written,
so that a reader loses that line only.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
from typing import Any

from .mask import masked
from .plain import Json, plain

FILE = "events.jsonl"

# One line at most; the launcher's `EVENT_BYTES`.
LINE_BYTES = 256 * 1024

# What is left of every text and list while a line is too long, one after the other.
_CUTS = ((65536, 10000), (16384, 1000), (4096, 200), (1024, 50), (256, 20), (64, 10))


class Events:
    """Appends to `folder`'s event file; only for the process that made it: a forked child's events are dropped.

    Not `durable`: a power cut may take the last ones, as is well for a load, which is repeated then. `secret` is in none of them.
    """

    def __init__(self, folder: str, durable: bool = True, secret: str = "") -> None:
        flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC
        self._file = os.open(os.path.join(folder, FILE), flags, 0o644)
        self._durable = durable
        self._secret = secret
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._torn = False

    @property
    def ours(self) -> bool:
        """Whether this is still the process that runs the job."""
        return os.getpid() == self._pid

    def emit(self, event: str, **fields: Any) -> None:
        """Append one event. Raises OSError when the disk refuses."""
        if not self.ours:
            return
        line = encode(dict({"event": event, "at": now()}, **fields), self._secret)
        with self._lock:
            rest = (b"\n" if self._torn else b"") + line
            self._torn = True
            while rest:
                rest = rest[os.write(self._file, rest) :]
            self._torn = False
            if self._durable:
                os.fsync(self._file)


def now() -> str:
    """The time as RFC 3339 in UTC."""
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode(event: Json, secret: str = "") -> bytes:
    """One line of JSON that holds `event`, its longest parts cut until it fits, and `secret` nowhere."""
    event = json.loads(masked(json.dumps(plain(event, "event", strict=False)), json.dumps(secret)[1:-1]))
    line = _line(event)
    for text, items in _CUTS:
        if len(line) <= LINE_BYTES:
            break
        line = _line(_cut(event, text, items))
    if len(line) > LINE_BYTES:
        line = _line({key: event[key] for key in ("event", "at", "step", "state") if key in event})
    return line


def _line(event: Json) -> bytes:
    return json.dumps(event, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def _cut(value: Any, text: int, items: int) -> Any:
    if isinstance(value, str) and len(value) > text:
        half = text // 2
        return f"{value[:half]} ... {len(value) - 2 * half} characters left out ... {value[-half:]}"
    if isinstance(value, list):
        rest = len(value) - items
        first = [_cut(item, text, items) for item in value[:items]]
        return [*first, f"... {rest} more"] if rest > 0 else first
    if isinstance(value, dict):
        rest = len(value) - items
        kept = {_cut(key, text, items): _cut(value[key], text, items) for key in list(value)[:items]}
        return dict(kept, **{"...": f"{rest} more"}) if rest > 0 else kept
    return value
