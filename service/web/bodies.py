"""Reads a body under its cap, which holds before anything looks at it: by its announced length, and while it is read."""

from __future__ import annotations

import io
from collections.abc import Callable

from flask import Request

from service import limits
from service.errors import Malformed, PayloadTooLarge

_PIECE = 64 * limits.KIB


def read(request: Request, cap: int, *, mend: str, grown: Callable[[int], None] = lambda _: None) -> bytes:
    """The whole body; `grown` hears how long it is by now. Raises PayloadTooLarge with `mend`, Malformed when it ends early."""
    announced = request.content_length
    if announced is not None and announced > cap:
        raise _too_large(cap, mend)
    # The app's own cap is for the API; ours is counted here.
    request.max_content_length = None
    body = io.BytesIO()
    while piece := request.stream.read(_PIECE):
        body.write(piece)
        if body.tell() > cap:
            raise _too_large(cap, mend)
        grown(body.tell())
    if announced is not None and body.tell() != announced:
        raise Malformed(
            f"The body ended after {body.tell()} of {announced} bytes",
            mend="Send it again; something on the way cut it",
        )
    return body.getvalue()


def _too_large(cap: int, mend: str) -> PayloadTooLarge:
    size = f"{cap // limits.MIB} MiB" if cap >= limits.MIB else f"{cap // limits.KIB} KiB"
    return PayloadTooLarge(f"The body is larger than {size}", mend=mend)
