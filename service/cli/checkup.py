"""`doctor` as people see it: a line for each finding as it is found, with the mend below."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from service.cli import live, screen
from service.cli.doctor import CHECKS, Case, Finding, Level, examine
from service.errors import SettingsError
from service.settings import Problem, load_settings

_SIGNS = {Level.GOOD: ("✓", "green"), Level.DOUBT: ("!", "yellow"), Level.BAD: ("✗", "red")}
_WIDTH = 16
_MARGIN = _WIDTH + 3


def run(config: Path | None, *, fix: bool, send: bool, quiet: bool) -> list[Finding]:
    """Every check, each finding shown as soon as it is there unless `quiet`."""
    found: list[Finding] = []

    def take(findings: Iterable[Finding]) -> None:
        for finding in findings:
            found.append(finding)
            if not quiet:
                _show(finding)

    try:
        settings = load_settings(config)
    except SettingsError as error:
        take(_problems(error))
        return found
    where = str(config) if config else "from the environment alone; --config names a file"
    take([Finding(Level.GOOD, "settings", where)])
    for name, about, check in CHECKS:
        with live.busy(f"looking at {about}", aloud=False) as progress:
            case = Case(
                settings=settings, config=config, fix=fix, send=send, live=sys.stderr.isatty(), progress=progress
            )
            findings = examine(case, name, check)
        take(findings)
    if not quiet:
        _sum_up(found)
    return found


def data(findings: Iterable[Finding]) -> dict[str, Any]:
    found = list(findings)
    return {"ok": not is_bad(found), "findings": [dataclasses.asdict(one) for one in found]}


def is_bad(findings: Iterable[Finding]) -> bool:
    return any(one.level is Level.BAD for one in findings)


def _problems(error: SettingsError) -> Iterable[Finding]:
    if not error.problems:
        yield Finding(Level.BAD, "settings", error.what, error.mend)
    for problem in error.problems:
        assert isinstance(problem, Problem)
        yield Finding(Level.BAD, "settings", str(problem).removesuffix(f"; {problem.mend}"), problem.mend)


def _show(finding: Finding) -> None:
    sign, style = _SIGNS[finding.level]
    said = screen.fitting(finding.said, screen.columns() - _MARGIN)
    screen.say((sign, style), f" {finding.what:<{_WIDTH}} {said}", hang=_MARGIN)
    for line in finding.detail.splitlines()[-10:]:
        screen.say(screen.dim(line), indent=_MARGIN)
    if finding.mend:
        screen.say(f"→ {finding.mend}", indent=_MARGIN)


def _sum_up(findings: list[Finding]) -> None:
    screen.say("")
    wrong, doubtful = (sum(one.level is level for one in findings) for level in (Level.BAD, Level.DOUBT))
    if wrong:
        are = "is" if wrong == 1 else "are"
        screen.say((f"{wrong} of {len(findings)} {are} wrong; the service will not work as it should", "red"))
    else:
        screen.say("all is well" if not doubtful else f"it will work; {doubtful} of {len(findings)} are worth a look")
