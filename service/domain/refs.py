"""Which names of branches and tags are taken from outside: git's own rules, and a little narrower.

A ref comes from a stranger (a webhook, a fetch, `.gitops.yaml`) and ends in git's command line, in file names and in
people's terminals. Receiver and source ask here, so that both know the same names.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from service import limits
from service.errors import RefRejected

HEADS = "refs/heads/"
TAGS = "refs/tags/"

_FORBIDDEN = frozenset(" ~^:?*[\\")
# They turn the reading direction, so that a name shows as another one.
_BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MEND = "Rename the branch or tag; `git check-ref-format` has the rules"


def check_ref(ref: str) -> None:
    """Raise RefRejected unless `ref` is the full name of a branch or a tag that git takes without a second meaning."""
    for fault in _faults(ref):
        raise RefRejected(f"The ref {shown(ref)} {fault}", mend=_MEND)


def shown(ref: str) -> str:
    """A ref for an error message: on one line, in ASCII, not longer than people read."""
    plain = ascii(ref)
    return plain if len(plain) <= 80 else plain[:76] + "...'"


def short(ref: str) -> str:
    """`refs/heads/main` → `main`."""
    return ref.removeprefix(HEADS) if ref.startswith(HEADS) else ref.removeprefix(TAGS)


def _faults(ref: str) -> Iterator[str]:
    """What is wrong with `ref`, the plainest first."""
    if not ref.startswith((HEADS, TAGS)):
        yield "is no branch and no tag (refs/heads/... or refs/tags/...)"
    if not (ref.isascii() and ref.isprintable() and _FORBIDDEN.isdisjoint(ref)):
        yield from (f"has {_named(sign)} in it" for sign in ref if _is_forbidden(sign))
    if len(ref.encode()) > limits.REF_NAME_BYTES:
        yield f"is longer than {limits.REF_NAME_BYTES} bytes"
    if short(ref).startswith("-"):
        yield "begins with '-', like an option"
    yield from (f"has {sequence!r} in it" for sequence in ("..", "@{") if sequence in ref)
    if ref.endswith("."):
        yield "ends with '.'"
    for component in ref.split("/"):
        if not component:
            yield "has an empty part ('//' or a '/' at its end)"
        if component.startswith("."):
            yield "has a part that begins with '.'"
        if component.endswith(".lock"):
            yield "has a part that ends with '.lock'"


def _is_forbidden(sign: str) -> bool:
    if sign in _FORBIDDEN:
        return True
    if sign.isascii():
        return not sign.isprintable()
    return sign in _BIDIRECTIONAL or unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp")


def _named(sign: str) -> str:
    return (
        "a space" if sign == " " else repr(sign) if sign in _FORBIDDEN else f"the control character U+{ord(sign):04X}"
    )
