"""Requests as a forge makes them; the JSON files are written after GitHub's documented shapes."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

SECRET = b"a secret of the forge and ours"
_HERE = Path(__file__).parent


def payload(event: str) -> dict[str, Any]:
    """A fresh copy of GitHub's sample of this event."""
    return json.loads((_HERE / "github" / f"{event}.json").read_text())


def changed(event: str, path: str, value: Any) -> dict[str, Any]:
    """The sample with the field at `path` ("repository.full_name") set to `value`."""
    whole = copy.deepcopy(payload(event))
    *parents, last = path.split(".")
    place = whole
    for parent in parents:
        place = place[parent]
    place[last] = value
    return whole


def without(event: str, field: str) -> dict[str, Any]:
    whole = payload(event)
    del whole[field]
    return whole


def signature(body: bytes, secret: bytes = SECRET) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def github(
    event: str, body: bytes, *, secret: bytes = SECRET, delivery: str = "72d3162e-cc78-11e3", **more: str
) -> dict[str, str]:
    """The headers that go with `body`; `more` replaces or adds, with _ for -."""
    return {
        "content-type": "application/json",
        "user-agent": "GitHub-Hookshot/044aadd",
        "x-github-event": event,
        "x-github-delivery": delivery,
        "x-hub-signature-256": signature(body, secret),
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
