"""What the machine brings: git, a clock, time zones, and files of secrets that nobody else reads."""

from __future__ import annotations

import os
import platform
import stat
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service.cli.doctor.findings import Case, Finding, bad, doubt, good
from service.settings import secret_files
from service.source import git_version

_GIT = (2, 31)
_A_ZONE = "Europe/Berlin"


def check(case: Case) -> Iterator[Finding]:
    yield good("python", f"the service runs on Python {platform.python_version()}")
    yield _git()
    yield _clock()
    yield from _secrets(case)


def _git() -> Finding:
    version = git_version()
    said = ".".join(map(str, version))
    if version < _GIT:
        return bad("git", f"{said} is too old", f"install git {'.'.join(map(str, _GIT))} or newer")
    return good("git", said)


def _clock() -> Finding:
    """A clock that stands before this program was made fires nothing when it should."""
    now = datetime.now().astimezone()
    if time.time() < Path(__file__).stat().st_mtime:
        return bad("clock", f"it says {now:%Y-%m-%d %H:%M}, which is before this program came here", "set it, by NTP")
    try:
        ZoneInfo(_A_ZONE)
    except ZoneInfoNotFoundError:
        return bad("clock", "there are no time zones here", "install tzdata, so that schedules know them")
    return good("clock", f"{now:%Y-%m-%d %H:%M} {now:%Z}, time zones are known")


def _secrets(case: Case) -> Iterator[Finding]:
    files = secret_files(case.config)
    wide = {key: path for key, path in files.items() if path.exists() and path.stat().st_mode & 0o077}
    for key, path in wide.items():
        mode = stat.S_IMODE(path.stat().st_mode)
        if case.fix and path.stat().st_uid == os.geteuid():
            path.chmod(mode & 0o700)
            yield good("secrets", f"{path} ({key}): others could read it, and cannot any more")
        else:
            said = f"{path} ({key}) can be read by others (mode {mode:04o})"
            yield doubt("secrets", said, f"chmod {mode & 0o700:04o} {path}, or let --fix do it")
    if files and not wide:
        yield good("secrets", f"{len(files)} file{'s' if len(files) > 1 else ''}, for the owner's eyes only")
