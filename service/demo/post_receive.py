"""The forge's half of a webhook: git runs this after a push, and it tells the service as GitHub would.

A program of its own (`python -I post_receive.py FORGE.json`), standard library only. FORGE.json has `webhook` (the
address), `secret_file`, `repository` and `record`: a file that gets a line of JSON for each delivery, with what was
answered and how long that took. What is printed here reaches whoever pushed, as `remote: ...`.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_S = 10  # GitHub's
_NOTHING = "0" * 40
_LOG = "--format=%H%x00%an%x00%ae%x00%aI%x00%B%x1e"


def main(settings: Path, lines: Iterable[str]) -> None:
    forge = json.loads(settings.read_text(encoding="utf-8"))
    for line in lines:
        before, after, ref = line.split()
        told = deliver(forge, "push", push(forge["repository"], before, after, ref), ref=ref, commit=after)
        print(f"webhook of {ref.removeprefix('refs/heads/')}: {told['said']}", flush=True)  # noqa: T201


def deliver(forge: Mapping[str, Any], event: str, payload: Mapping[str, Any], **about: str) -> dict[str, Any]:
    """One signed delivery over a connection of its own, and what came of it, which is also written down."""
    body = json.dumps(payload).encode()
    secret = Path(forge["secret_file"]).read_bytes().strip()
    headers = {
        "content-type": "application/json",
        "user-agent": "GitHub-Hookshot/demo",
        "x-github-event": event,
        "x-github-delivery": str(uuid.uuid4()),
        "x-hub-signature-256": f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}",
    }
    at, began = time.time(), time.monotonic()
    status, answer = _post(forge["webhook"], body, headers)
    took_s = time.monotonic() - began
    told = {"event": event, "sent_at": at, "took_s": took_s, "status": status, "answer": answer, **about}
    told["said"] = f"{status or 'no answer'} {answer.get('status', '')} after {took_s * 1000:.0f} ms"
    with Path(forge["record"]).open("a", encoding="utf-8") as record:
        record.write(json.dumps(told) + "\n")
    return told


def push(repository: str, before: str, after: str, ref: str) -> dict[str, Any]:
    """GitHub's `push` event, as far as a service can want to read it."""
    commits = [] if after == _NOTHING else _commits(before, after)
    return {
        "ref": ref,
        "before": before,
        "after": after,
        "created": before == _NOTHING,
        "deleted": after == _NOTHING,
        "forced": False,
        "repository": {
            "id": 1,
            "name": repository.rpartition("/")[2],
            "full_name": repository,
            "default_branch": "main",
        },
        "pusher": {"name": "ada", "email": "ada@example.com"},
        "commits": commits,
        "head_commit": commits[-1] if commits else None,
    }


def _commits(before: str, after: str) -> list[dict[str, Any]]:
    reach = after if before == _NOTHING else f"{before}..{after}"
    told = subprocess.run(
        ["git", "log", "--reverse", "--max-count=20", _LOG, reach], capture_output=True, text=True, check=True
    ).stdout
    rows = [entry.strip("\n").split("\0") for entry in told.split("\x1e") if entry.strip()]
    return [
        {"id": sha, "message": message.strip(), "timestamp": at, "author": {"name": name, "email": email}}
        for sha, name, email, at, message in rows
    ]


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """Status and answer; 0 when nobody answered."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_TIMEOUT_S)
    try:
        connection.request("POST", address.path, body, dict(headers))
        response = connection.getresponse()
        answer = json.loads(response.read() or b"{}")
    except (OSError, http.client.HTTPException, ValueError):
        return 0, {}
    finally:
        connection.close()
    return response.status, answer if isinstance(answer, dict) else {}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.stdin)
