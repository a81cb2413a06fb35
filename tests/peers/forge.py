"""What GitHub does when somebody pushes: a signed `push` to the webhook, again when a person presses "redeliver"."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from typing import Any

import httpx

SECRET = "a webhook secret that is long enough"


def push_payload(
    repository: str, before: str | None, after: str | None, ref: str = "refs/heads/main"
) -> dict[str, Any]:
    """The part of GitHub's push payload that matters, in its documented shape."""
    zero = "0" * 40
    name = repository.rpartition("/")[2]
    return {
        "ref": ref,
        "before": before or zero,
        "after": after or zero,
        "created": before is None,
        "deleted": after is None,
        "forced": False,
        "repository": {"id": 1, "name": name, "full_name": repository, "default_branch": "main"},
        "pusher": {"name": "ada", "email": "ada@example.com"},
        "commits": [],
        "head_commit": None,
    }


def signed(payload: dict[str, Any], *, secret: str = SECRET, event: str = "push") -> tuple[bytes, dict[str, str]]:
    """Body and headers of one delivery."""
    body = json.dumps(payload).encode()
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return body, {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": str(uuid.uuid4()),
        "x-hub-signature-256": f"sha256={digest}",
    }


def deliver(http: httpx.Client, hook: str, body: bytes, headers: dict[str, str]) -> httpx.Response | None:
    """One attempt; None when nobody answered."""
    try:
        return http.post(f"/webhooks/github/{hook}", content=body, headers=headers)
    except httpx.TransportError:
        return None
