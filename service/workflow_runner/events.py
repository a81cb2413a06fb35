"""What happens, as lines of JSON in the job's event file, each on disk before the next thing is done.

The file is the one truth that launchers read. A line that a full disk tore is ended before the next one is written,
so that a reader loses that line only.
"""

import datetime
import json
import os
import threading

from .plain import plain

FILE = "events.jsonl"

# One line at most; the launcher's `EVENT_BYTES`.
LINE_BYTES = 256 * 1024

# What is left of every text and list while a line is too long, one after the other.
_CUTS = ((65536, 10000), (16384, 1000), (4096, 200), (1024, 50), (256, 20), (64, 10))


class Events:
    """Appends to `folder`'s event file; only for the process that made it: a forked child's events are dropped."""

    def __init__(self, folder):
        flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC
        self._file = os.open(os.path.join(folder, FILE), flags, 0o644)
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._torn = False

    @property
    def ours(self):
        """Whether this is still the process that runs the job."""
        return os.getpid() == self._pid

    def emit(self, event, **fields):
        """Append one event, durably. Raises OSError when the disk refuses."""
        if not self.ours:
            return
        line = encode(dict({"event": event, "at": now()}, **fields))
        with self._lock:
            rest = (b"\n" if self._torn else b"") + line
            self._torn = True
            while rest:
                rest = rest[os.write(self._file, rest) :]
            self._torn = False
            os.fsync(self._file)


def now():
    """The time as RFC 3339 in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode(event):
    """One line of JSON that holds `event`, its longest parts cut until it fits."""
    event = plain(event, "event", strict=False)
    line = _line(event)
    for text, items in _CUTS:
        if len(line) <= LINE_BYTES:
            break
        line = _line(_cut(event, text, items))
    if len(line) > LINE_BYTES:
        line = _line({key: event[key] for key in ("event", "at", "step", "state") if key in event})
    return line


def _line(event):
    return json.dumps(event, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def _cut(value, text, items):
    if isinstance(value, str) and len(value) > text:
        half = text // 2
        return "{} ... {} characters left out ... {}".format(value[:half], len(value) - 2 * half, value[-half:])
    if isinstance(value, list):
        rest = len(value) - items
        kept = [_cut(item, text, items) for item in value[:items]]
        return kept + ["... {} more".format(rest)] if rest > 0 else kept
    if isinstance(value, dict):
        rest = len(value) - items
        kept = {_cut(key, text, items): _cut(value[key], text, items) for key in list(value)[:items]}
        return dict(kept, **{"...": "{} more".format(rest)}) if rest > 0 else kept
    return value
