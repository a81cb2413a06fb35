"""Which peers are on this machine, and what to do about those that are not."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from service.domain.mlrun_versions import SUPPORTED
from service.errors import RunnerEnvironmentError
from service.launchers.process.environment import ensure_environment, is_installed
from service.settings import Settings, load_settings
from tests.peers import containers, mlrun_api
from tests.peers.kubernetes import control_plane, tools

# The answer of a peer that is asked: None when it is here, else how to get it.
Answer = str | None


def _runner() -> Answer:
    """Made here where a Python 3.9 is to be had; the first time that takes a minute."""
    try:
        ensure_environment(load_settings(environ={}), say)
    except RunnerEnvironmentError as error:
        return f"{error} {error.detail}".strip()
    return None


def settings_for(version: str) -> Settings:
    """The settings of a service for that MLRun."""
    return load_settings(environ={"GITOPS_MLRUN__VERSION": version})


def make_runners() -> Answer:
    """The runner environment of every MLRun that may be chosen; each takes a few hundred megabytes."""
    try:
        for version in SUPPORTED:
            ensure_environment(settings_for(version), say)
    except RunnerEnvironmentError as error:
        return f"{error} {error.detail}".strip()
    return None


def _runners() -> Answer:
    """Only looked for, unless they are asked for: a newcomer's first `make test` installs the one that is needed most."""
    if required("runners", os.environ.get("REQUIRE_PEERS", "")):
        return make_runners()
    try:
        lacking = [version for version in SUPPORTED if not is_installed(settings_for(version))]
    except RunnerEnvironmentError as error:
        return f"{error} {error.detail}".strip()
    return f"no runner environment of MLRun {', '.join(lacking)}; make peers" if lacking else None


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


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
    "runners": _runners,
    "postgres": _postgres,
    "browser": _browser,
    "container": containers.lacking,
    "kubernetes": control_plane.lacking,
    "helm": tools.lacking,
    "mlrun_api": mlrun_api.lacking,
}


@cache
def missing(name: str) -> Answer:
    """How to get the peer `name`; None when it is here. Asked once a process."""
    return PEERS[name]()


def required(name: str, wish: str) -> bool:
    """Whether `wish`, the value of REQUIRE_PEERS, asks for this peer."""
    return name in wish.replace(",", " ").split() or wish.strip() == "all"
