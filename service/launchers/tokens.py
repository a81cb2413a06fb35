"""The token of one job, with which its pod speaks to the service: a signature over the job's id.

Nothing of it is kept: every replica makes the same one from the store's key, to hand it to a pod (again, when its Secret
was deleted) and to see whether one that comes is right.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from sqlalchemy import Connection

from service.store import Store, keys

_KEY = "jobs"


def key_of_jobs(store: Store) -> bytes:
    """What tokens are made with; it never changes. Raises StoreUnavailable."""
    with store.read() as connection:
        known = keys.find(connection, _KEY)
    return known or store.write(_key)


def token_of(key: bytes, job_id: str) -> str:
    """43 characters, safe in URLs, headers and files."""
    signature = hmac.new(key, job_id.encode(errors="surrogatepass"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(signature).rstrip(b"=").decode()


def fits(key: bytes, job_id: str, token: str) -> bool:
    """In a time that tells nothing about the right one."""
    return hmac.compare_digest(token_of(key, job_id).encode(), token.encode(errors="surrogatepass"))


def _key(connection: Connection) -> bytes:
    return keys.key(connection, _KEY)
