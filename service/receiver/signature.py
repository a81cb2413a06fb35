"""Is a body signed with one of our secrets? Asked in a way that tells a stranger nothing."""

from __future__ import annotations

import hmac
import re
import secrets as random
from collections.abc import Sequence

from service.errors import Unauthorized

_SHA256 = re.compile(r"sha256=([0-9a-f]{64})", re.IGNORECASE)
# Stands in where there is no secret to compare with, so that this takes as long.
_NOBODYS_SECRET = random.token_bytes(32)


def check_sha256(given: str | None, header: str, body: bytes, secrets: Sequence[bytes]) -> None:
    """Raise Unauthorized unless `given`, the value of `header`, is `sha256=<HMAC of body under one of secrets>`.

    Every secret is compared, also after one has matched: the time tells neither which matched nor whether one did.
    """
    found = _SHA256.fullmatch((given or "").strip())
    digest = found[1].lower() if found else "0" * 64
    matches = [hmac.compare_digest(hmac.digest(s, body, "sha256").hex(), digest) for s in secrets]
    if not given:
        raise Unauthorized(f"{header} is missing", mend="Give the webhook a secret at the forge")
    if not found:
        raise Unauthorized(f"{header} is not of the form sha256=<64 hex digits>", mend="Sign with HMAC-SHA256")
    if not any(matches):
        raise Unauthorized(f"{header} matches no secret of this hook", mend="Use the same secret at both ends")


def check_nobodys(body: bytes) -> None:
    """What a hook that does not exist does with a body: the same work, to no end."""
    hmac.compare_digest(hmac.digest(_NOBODYS_SECRET, body, "sha256").hex(), "0" * 64)
