"""The end of a run's log, for people who hear that it failed: a few lines, with what looks like a secret masked."""

from __future__ import annotations

import re

from service.domain.diff import MASK, looks_secret, masked

LINES = 20
LINE_CHARACTERS = 300
# What is read of a log for its tail: its lines at their longest, in UTF-8.
BYTES = LINES * LINE_CHARACTERS * 4

# As in `diff`, a run of characters without an end is looked at once; a job can print one.
_SETTING = re.compile(
    r"""(?P<key>(?<![\w.-])[\w.-]++)(?P<sign>["']?\s*[=:]\s*)(?P<value>"[^"]*"|'[^']*'|[^\s,;&"'})\]]+)"""
)
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)


def log_tail(text: str) -> str:
    """The last lines of `text`, whose first line may be the rest of one. Empty for an empty log."""
    lines = [line.rpartition("\r")[2].rstrip() for line in text.rstrip().split("\n")]
    return "\n".join(_cut(_masked(line)) for line in lines[-LINES:]).strip("\n")


def _masked(line: str) -> str:
    line = _BEARER.sub(rf"\1 {MASK}", masked(line))
    return _SETTING.sub(_hide, line)


def _hide(found: re.Match[str]) -> str:
    return f"{found['key']}{found['sign']}{MASK}" if looks_secret(found["key"]) else found[0]


def _cut(line: str) -> str:
    return line if len(line) <= LINE_CHARACTERS else line[: LINE_CHARACTERS - 1] + "…"
