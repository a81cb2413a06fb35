"""What an answer of the MLRun API means: its JSON, or one of our errors, which quotes it without a secret.

MLRun's own refusals are JSON with a `detail`: a text, an object with a reason and an error, or pydantic's list of what is
wrong where. A proxy in front of it answers in HTML. While no MLRun stands behind it, it may say 404, which is no word about what was
asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from service import limits
from service.domain.diff import MASK, masked
from service.errors import MlrunAway, MlrunError, MlrunRefused

Json = dict[str, Any]
Mask = Callable[[str], str]

ACCEPTED, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, TOO_MANY = 202, 401, 403, 404, 409, 429
# May pass by itself: too slow, too early, too many.
_PASSING = frozenset({408, 425, TOO_MANY})
_REDIRECT, _REFUSED, _SERVER_ERROR = 300, 400, 500
_RETRY_AFTER_MAX_S = 300.0
# A secret shorter than this is in every text by chance; nothing is quoted then.
_TELLABLE = 4
_UNQUOTED = "what it said is not shown, since it may hold a secret"
# What FastAPI says of an address that it does not have.
_NO_ADDRESS = "Not Found"
_MARKUP = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^<>]{0,1000}>", re.DOTALL | re.IGNORECASE)
_SIGN_IN = "give the MLRun API's token as mlrun.token_file, or its access key as mlrun.access_key_file"
_ADDRESS = "set mlrun.api to the address of the MLRun API itself, for example http://mlrun-api:8080"


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is whole where it is a good one, else its beginning."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def good(self) -> bool:
        return 200 <= self.status < _REDIRECT


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, for people: `where` the server is, `what` it was to do, how secrets are taken out of its words."""

    where: str
    what: str
    mask: Mask


def json_of(answer: Answer, asked: Asked) -> Json:
    """The object in a good answer. Raises MlrunRefused for what is none."""
    try:
        body = msgspec.json.decode(answer.body or b"{}")
    except (msgspec.MsgspecError, RecursionError, ValueError):
        body = None
    if not isinstance(body, dict):
        raise nonsense(asked, answer, "no JSON object")
    return body


def entries(document: Json, key: str, answer: Answer, asked: Asked) -> list[Json]:
    """The list of objects under `key`. Raises MlrunRefused where there is none."""
    listed = document.get(key)
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise nonsense(asked, answer, f"no list of {key}")
    return listed


def inner(document: Any, *keys: str) -> Any:
    """What stands below `keys`, or None."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def nonsense(asked: Asked, answer: Answer, what: str) -> MlrunRefused:
    """A good answer that is not what was asked for."""
    quoted = asked.mask(_text(answer.body))
    return MlrunRefused(
        f"{asked.where} answered {what} when it was to {asked.what}", mend=_ADDRESS, detail=quoted, answer=answer.status
    )


def refusal(answer: Answer, asked: Asked) -> MlrunError:
    """What an answer that is no good one says."""
    status, said = answer.status, asked.mask(_said(answer.body))
    colon = f": {said}" if said else ""
    if status < _REFUSED:
        what = f"{asked.where} sends us elsewhere ({status}) when it is to {asked.what}"
        return MlrunRefused(what, mend=f"{_ADDRESS}; if people sign in there, {_SIGN_IN}", answer=status)
    if status == UNAUTHORIZED:
        what = f"{asked.where} does not know us (401){colon}"
        return MlrunAway(what, mend=f"{_SIGN_IN}; it goes on by itself when it is let in", answer=status, sent=False)
    if status == NOT_FOUND and not is_mlruns(answer):
        what = f"there is no MLRun API that can {asked.what} at {asked.where} (404){colon}"
        return MlrunAway(what, mend=_ADDRESS, answer=status, sent=False)
    if status in _PASSING or status >= _SERVER_ERROR:
        return MlrunAway(
            f"{asked.where} could not {asked.what} ({status}){colon}",
            answer=status,
            retry_after_s=_retry_after(answer.headers),
            sent=status != TOO_MANY,
        )
    return MlrunRefused(f"{asked.where} refused to {asked.what} ({status}){colon}", mend=_mend(status), answer=status)


def is_mlruns(answer: Answer) -> bool:
    """Whether MLRun itself says 404: its errors' text, or an object with what it looked for (`api/main.py`, `log_and_raise`)."""
    try:
        detail = inner(msgspec.json.decode(answer.body), "detail")
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return False
    return bool(detail) and isinstance(detail, str | dict) and detail != _NO_ADDRESS


def masking(secrets: frozenset[str]) -> Mask:
    """Takes these, and logins of addresses, out of a text, then cuts it."""
    hidden = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)
    tiny = any(len(form) < _TELLABLE for form in hidden)

    def mask(text: str) -> str:
        if tiny:
            return _UNQUOTED
        for form in hidden:
            text = text.replace(form, MASK)
        text = str(masked(text))
        most = limits.MLRUN_QUOTE_CHARACTERS
        return text if len(text) <= most else f"{text[:most]}…"

    return mask


def _forms(secret: str) -> set[str]:
    """How a secret may stand in a text: as it is, on one line, as JSON or Python or an address writes it."""
    as_json = msgspec.json.encode(secret).decode()[1:-1]
    return {secret, " ".join(secret.split()), as_json, repr(secret)[1:-1], quote(secret, safe="")} - {""}


def _mend(status: int) -> str:
    if status == FORBIDDEN:
        return "let the owner of the service's token or access key do this in MLRun"
    return ""


def _said(body: bytes) -> str:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return _text(body)
    detail = document.get("detail", document) if isinstance(document, dict) else document
    if isinstance(detail, list):
        return "; ".join(_of_pydantic(one) for one in detail)
    if isinstance(detail, dict):
        words = [str(detail[key]) for key in ("reason", "error", "message") if detail.get(key)]
        return ": ".join(words) or msgspec.json.encode(detail).decode()
    return str(detail)


def _of_pydantic(problem: Any) -> str:
    """`{"loc": ["body", "spec"], "msg": "is wrong"}` → `body.spec is wrong`."""
    if not isinstance(problem, dict):
        return str(problem)
    loc = problem.get("loc")
    where = ".".join(map(str, loc)) if isinstance(loc, list) else ""
    return f"{where} {problem.get('msg', '')}".strip()


def _text(body: bytes) -> str:
    """Words for people, of HTML too. A secret may stand astride the cut: what is masked is longer than what is shown."""
    text = body[: 16 * limits.MLRUN_QUOTE_CHARACTERS].decode("utf-8", "replace")
    return " ".join(_MARKUP.sub(" ", text).split())


def _retry_after(headers: Mapping[str, str]) -> float:
    """In seconds, as MLRun and the proxies before it give it; an HTTP date is not worth its parser."""
    value = headers.get("retry-after", "").strip()
    return min(float(value), _RETRY_AFTER_MAX_S) if value.isdecimal() and len(value) < 10 else 0.0
