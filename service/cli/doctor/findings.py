"""What checks are given, and what they find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from service.settings import Settings


class Level(StrEnum):
    GOOD = "good"
    DOUBT = "doubtful"  # it works, and somebody should look at it
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was looked at, `said` what was found, `mend` what to do; `detail` is longer text."""

    level: Level
    what: str
    said: str
    mend: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`fix`: mend what can be mended without asking. `send`: send a test message. `progress` hears what goes on."""

    settings: Settings
    config: Path | None
    fix: bool = False
    send: bool = False
    live: bool = False
    progress: Callable[[str], None] = lambda _: None


def good(what: str, said: str) -> Finding:
    return Finding(Level.GOOD, what, said)


def doubt(what: str, said: str, mend: str) -> Finding:
    return Finding(Level.DOUBT, what, said, mend)


def bad(what: str, said: str, mend: str, detail: str = "") -> Finding:
    return Finding(Level.BAD, what, said, mend, detail)
