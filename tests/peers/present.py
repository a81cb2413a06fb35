"""Which peers are on this machine, and what to do about those that are not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from service.errors import RunnerEnvironmentError


@dataclass(frozen=True, slots=True)
class Peer:
    """`missing` answers None when the peer is here, else how to get it; `prepare` makes it where that needs no system change."""

    name: str
    missing: Callable[[], str | None]
    prepare: Callable[[], None] | None = None


def _programs(*names: str, get: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        absent = [name for name in names if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")]
        return f"{', '.join(absent)} not found; {get}" if absent else None

    return missing


def postgres_programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; Debian keeps them off PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def _postgres_missing() -> str | None:
    return None if postgres_programs() else "PostgreSQL's server programs not found; apt-get install postgresql"


PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("postgres", _postgres_missing),
        Peer("container", _programs("podman", "runc", "debootstrap", get="apt-get install podman runc debootstrap")),
    )
}


@cache
def missing(name: str) -> str | None:
    """How to get the peer `name`; None when it is here. Asked once a process."""
    return PEERS[name].missing()


def required(name: str, wish: str) -> bool:
    """Whether `wish`, the value of REQUIRE_PEERS, asks for this peer."""
    return name in wish.replace(",", " ").split() or wish.strip() == "all"
