"""The service without one of its ideas: what `make bench` compares it with, so that the idea is measured and nothing else.

Only `GITOPS_BENCH_*` turns these on, no setting does. A service that listens beyond loopback refuses to start with one, and any
other says so in its log: two of them are slower for no good, and one keeps nothing of what it acknowledges.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pkgutil import walk_packages

import handlers
import service
from service import limits
from service.errors import SettingsError
from service.settings import Settings

log = logging.getLogger(__name__)

PREFIX = "GITOPS_BENCH_"
# How many changes share one commit; 1 is a store without group commit.
BATCH = "GITOPS_BENCH_STORE_BATCH"
# `signature`: a webhook is answered once its signature was checked, and nothing is stored.
ACKNOWLEDGE = "GITOPS_BENCH_ACKNOWLEDGE"
# Libraries, with commas: they are imported before the service starts, and all modules of its own. A service that is lazy about none.
IMPORTS = "GITOPS_BENCH_IMPORTS"
# These run on the workflow runner's Python, or inside of Alembic.
_ELSEWHERE = ("service.workflow_runner", "service.store.migrations.")


@dataclass(frozen=True, slots=True)
class References:
    """Which of them this service is; by default none."""

    batch: int = limits.STORE_BATCH_ROWS
    signature_only: bool = False
    imports: tuple[str, ...] = ()


# The service itself.
NONE = References()


def references(settings: Settings, environ: Mapping[str, str]) -> References:
    """What the environment asks for. Raises SettingsError for what is not understood, and beyond loopback for any."""
    asked = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value}
    if not asked:
        return NONE
    for name, value in asked.items():
        if not _understood(name, value):
            raise SettingsError(f"{name}={value!r} is not understood", mend="Unset it: it is for `make bench` alone")
    if not settings.server.loopback:
        raise SettingsError(
            f"{', '.join(sorted(asked))} in the environment of a service on {settings.server.host}",
            mend="Unset it: it is for `make bench` alone, on loopback",
        )
    log.warning("this service is a reference for make bench, and no good for anything else: %s", asked)
    return References(
        batch=int(asked.get(BATCH, limits.STORE_BATCH_ROWS)),
        signature_only=ACKNOWLEDGE in asked,
        imports=tuple(asked[IMPORTS].split(",")) if IMPORTS in asked else (),
    )


def import_all(libraries: Iterable[str]) -> None:
    """Import these libraries and every module of the service and its handlers."""
    for library in libraries:
        import_module(library)
    for house in (service, handlers):
        for module in walk_packages(house.__path__, f"{house.__name__}."):
            if not module.name.startswith(_ELSEWHERE) and not module.name.endswith(".__main__"):
                import_module(module.name)


def log_imports(libraries: Iterable[str]) -> None:
    """The proof: which libraries are there, and how many modules."""
    there = [library for library in libraries if library in sys.modules]
    log.warning("imported before the start: %s modules, with all of %s", len(sys.modules), " ".join(there))


def _understood(name: str, value: str) -> bool:
    if name == BATCH:
        return value.isdecimal() and 1 <= int(value) <= limits.STORE_BATCH_ROWS
    if name == IMPORTS:
        return all(library.isidentifier() for library in value.split(","))
    return (name, value) == (ACKNOWLEDGE, "signature")
