"""Who may use the API.

With tokens: whoever shows one. Without: whoever is on this machine, since the service then listens on loopback only
(the settings see to that). A browser on this machine may show pages of strangers, so without tokens two more things are
asked: the Host header names loopback (a stranger's domain name that resolves to 127.0.0.1 does not), and what acts
comes with JSON or a header that no page can send elsewhere without the browser asking us first.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from flask import g, request
from werkzeug.exceptions import UnsupportedMediaType

from service import limits
from service.domain.hosts import is_loopback
from service.errors import Forbidden, Malformed, Unauthorized
from service.settings import Settings

LOOPBACK = "loopback"
# A header of our own: a page must ask (CORS preflight) before it may send one to another origin, and we never allow it.
ACT_HEADER = "X-Gitops-Client"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class Gate:
    def __init__(self, settings: Settings) -> None:
        self._tokens = [(t.name, _digest(t.token.get_secret_value())) for t in settings.auth.tokens]

    def check(self) -> None:
        """Before every request of the API. Raises what the caller is told; sets `g.actor`."""
        request.max_content_length = limits.API_BODY_BYTES
        g.actor = self._bearer() if self._tokens else self._neighbour()
        if request.method not in _READS:
            _body_is_json()

    def _bearer(self) -> str:
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        digest = _digest(shown.strip())
        # Every token is compared, and as a digest: time tells neither which one was near nor how long it is.
        names = [name for name, token in self._tokens if hmac.compare_digest(token, digest)]
        if scheme.lower() != "bearer" or not names:
            raise Unauthorized(
                "the API needs a token",
                mend="send `Authorization: Bearer ...` with a token of auth.tokens (the CLI: --token or GITOPS_TOKEN)",
            )
        return names[0]

    def _neighbour(self) -> str:
        if not is_loopback(_host(request.host)):
            raise Forbidden(
                f"without auth.tokens the API answers on loopback only, and this request is for {request.host[:100]!r}",
                mend="ask for 127.0.0.1 or localhost, or set auth.tokens",
            )
        if request.method not in _READS and not _deliberate():
            raise Forbidden(
                "this request could come from a web page of a stranger",
                mend=f"send `Content-Type: application/json`, or the header {ACT_HEADER}",
            )
        return LOOPBACK


def _deliberate() -> bool:
    origin = request.headers.get("Origin")
    if origin is not None and not is_loopback(urlsplit(origin).hostname or ""):
        return False
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        return False
    return request.mimetype == "application/json" or ACT_HEADER in request.headers


def _body_is_json() -> None:
    """An empty body is fine where none is needed; any other is JSON and an object."""
    if not request.get_data(cache=True):
        return
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("a body is `application/json`")
    try:
        body = request.get_json(silent=True)
    except RecursionError:
        body = None
    if not isinstance(body, dict):
        raise Malformed("the body is no JSON object", mend="send an object in UTF-8, as the reference of the API shows")


def _host(host: str) -> str:
    """`[::1]:8080` → `::1`."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
