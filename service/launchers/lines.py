"""One line of a job's events as what it tells. Its user can write anything there, so what is none becomes a warning."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from service import limits


def event_of(line: bytes) -> dict[str, Any]:
    """The event that `line` (without its end) is, or a warning that says why it is none."""
    if len(line) > limits.EVENT_BYTES:
        return warning(f"an event of {len(line)} bytes was skipped")
    try:
        event = json.loads(line.decode("utf-8", "replace"), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        return warning(f"a line that is no JSON was skipped: {line[:100].decode('utf-8', 'replace')!r}")
    if not isinstance(event, dict) or not isinstance(event.get("event"), str) or not isinstance(event.get("at"), str):
        return warning(f"a line that is no event was skipped: {line[:100].decode('utf-8', 'replace')!r}")
    return event


def text_of(line: bytes) -> str:
    """The same as JSON again, to be kept in a table and read by `json.loads`."""
    try:
        return json.dumps(event_of(line), allow_nan=False, separators=(",", ":"))
    except RecursionError:
        return json.dumps(warning("an event that is nested too deeply was skipped"))


def warning(text: str) -> dict[str, Any]:
    return {"event": "warning", "at": now(), "text": text}


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _no_constant(name: str) -> None:
    """NaN and Infinity are no JSON, and no database takes them; a result that is one becomes null."""


def _finite(number: str) -> float | None:
    """1e999 is JSON, and infinite to Python."""
    value = float(number)
    return value if math.isfinite(value) else None
