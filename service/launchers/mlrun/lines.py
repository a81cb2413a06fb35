"""An event as a line of the store; what would be too long for one loses its largest part, with a word about it."""

from __future__ import annotations

import json

from service import limits
from service.domain.projects import Json

_CUT = 2000


def line_of(event: Json) -> str:
    line = json.dumps(event, separators=(",", ":"))
    if len(line) <= limits.EVENT_BYTES:
        return line
    smaller = {**event, "results": {}, "dropped": f"its results take {len(line)} bytes"}
    if isinstance(error := event.get("error"), dict):
        smaller["error"] = {key: str(value)[-_CUT:] for key, value in error.items()}
    return json.dumps(smaller, separators=(",", ":"))
