"""Hostile bytes to typed structs, or a Malformed that says where and how to mend it.

A forge's class declares the few fields it needs as strict structs; everything else in a payload is skipped without
being built. Nothing here can fail in another way than Malformed: neither depth nor encoding nor types.
"""

from __future__ import annotations

import re
from typing import Annotated, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Meta
from msgspec.json import Decoder

from service import limits
from service.domain.refs import check_ref
from service.errors import Malformed, RefRejected
from service.receiver.forge import Headers

T = TypeVar("T")

# A commit. Forges write zeros where there is none.
Sha = Annotated[str, Meta(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})\Z")]
# A forge's full name of a repository: a path of at least two parts, without a leading slash.
FullName = Annotated[str, Meta(pattern=r"^[\w.~+-]+(/[\w.~+ -]+)+\Z", max_length=200)]

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

_BRACKETS = bytes.maketrans(b"{}", b"[]")
_ALL_BUT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_STRINGS = re.compile(rb'"[^"]*"')


class Payload(msgspec.Struct, frozen=True):
    """Base of the structs that payloads are decoded into."""


def json_body(headers: Headers, body: bytes) -> bytes:
    """The JSON in a request: the body itself, or the form field `payload`. Raises Malformed."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        return body
    if kind != FORM:
        raise Malformed(
            f"The content type is {shown(kind)}" if kind else "The content type is missing",
            mend=f"Set the webhook's content type to {JSON}",
        )
    fields = [value for name, _, value in (part.partition(b"=") for part in body.split(b"&")) if name == b"payload"]
    if len(fields) != 1:
        raise Malformed(
            f"The form has {len(fields) or 'no'} field{'s' if len(fields) > 1 else ''} `payload`",
            mend=f"Send exactly one, or set the webhook's content type to {JSON}",
        )
    return unquote_to_bytes(fields[0].replace(b"+", b" "))


def decode(json: bytes, decoder: Decoder[T], what: str) -> T:
    """What `json` holds. `what` names the payload in the error: "GitHub's push"."""
    try:
        json.decode()
        _check_depth(json)
        return decoder.decode(json)
    except UnicodeDecodeError as error:
        raise _malformed(what, f"is not UTF-8 at byte {error.start}") from None
    except msgspec.ValidationError as error:
        raise _malformed(what, f"is not as documented: {error}") from None
    except msgspec.DecodeError as error:
        raise _malformed(what, f"is not JSON: {error}") from None
    except RecursionError:
        raise _malformed(what, "is nested too deeply") from None


def checked_ref(ref: str, what: str, where: str = "$.ref") -> str:
    """`ref` if check_ref takes it. Raises Malformed."""
    try:
        check_ref(ref)
    except RefRejected as error:
        raise Malformed(f"{what} names a ref that is refused, at `{where}`. {error.what}", mend=error.mend) from None
    return ref


def commit(sha: str | None) -> str | None:
    """None for the zeros that stand for no commit."""
    return sha if sha is not None and sha.strip("0") else None


def printable(text: str | None, length: int = 200) -> str | None:
    """A stranger's text for people, on one line; what could do tricks in a terminal is left out. None when nothing is left."""
    if text is None:
        return None
    if not text.isprintable():
        text = "".join(c for c in text[: 2 * length] if c.isprintable())
    return text.strip()[:length] or None


def shown(text: str) -> str:
    """What a stranger sent, for an error message: ASCII, on one line, short."""
    plain = ascii(text)
    return plain if len(plain) <= 80 else plain[:76] + "...'"


def _malformed(what: str, fault: str) -> Malformed:
    return Malformed(f"{what} {fault}", mend="Check what sends to this address and what its webhook is set to")


def _check_depth(json: bytes) -> None:
    """Raise RecursionError beyond the cap, without recursion.

    Nearly every payload has too few brackets to be deep. Of the others only brackets and quotes are kept, then strings
    are dropped (those without a bracket are two quotes by now), and then the innermost pairs as often as there may be
    levels.
    """
    if json.count(b"[") + json.count(b"{") <= limits.WEBHOOK_JSON_DEPTH:
        return
    bare = json.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _ALL_BUT_STRUCTURE)
    bare = _STRINGS.sub(b"", bare.replace(b'""', b"")).translate(_BRACKETS)
    for _ in range(limits.WEBHOOK_JSON_DEPTH):
        if b"[]" not in bare:
            break
        bare = bare.replace(b"[]", b"")
    # What is left was never closed, or is deeper still.
    if b"[]" in bare or bare.count(b"[") > limits.WEBHOOK_JSON_DEPTH:
        raise RecursionError
