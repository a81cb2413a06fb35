"""Which peers are on this machine, and what to do about those that are not."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from service.errors import RunnerEnvironmentError
from service.launchers.process.environment import ensure_environment
from service.settings import load_settings

# The answer of a peer that is asked: None when it is here, else how to get it.
Answer = str | None


def _runner() -> Answer:
    """Made here where a Python 3.9 is to be had; the first time that takes a minute."""
    try:
        ensure_environment(load_settings(environ={}), lambda line: print(line, file=sys.stderr, flush=True))
    except RunnerEnvironmentError as error:
        return f"{error} {error.detail}".strip()
    return None


def postgres_programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; Debian keeps them off PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def _postgres() -> Answer:
    return None if postgres_programs() else "initdb not found; apt-get install postgresql"


def chromium() -> Path | None:
    """A browser of the system; none is downloaded."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    return Path(found) if found else None


def _browser() -> Answer:
    """With a font for emoji: without one, messages show boxes where people see signs."""
    if not chromium():
        return "chromium not found; apt-get install --no-install-recommends chromium fonts-noto-color-emoji fonts-dejavu-core"
    if not list(Path("/usr/share/fonts").rglob("NotoColorEmoji*")):
        return "no font has emoji; apt-get install --no-install-recommends fonts-noto-color-emoji fonts-dejavu-core"
    return None


# By the name of their marker. A peer is listed when a test uses it.
PEERS: dict[str, Callable[[], Answer]] = {
    "runner": _runner,
    "postgres": _postgres,
    "browser": _browser,
}


@cache
def missing(name: str) -> Answer:
    """How to get the peer `name`; None when it is here. Asked once a process."""
    return PEERS[name]()


def required(name: str, wish: str) -> bool:
    """Whether `wish`, the value of REQUIRE_PEERS, asks for this peer."""
    return name in wish.replace(",", " ").split() or wish.strip() == "all"
