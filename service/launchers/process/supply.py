"""What a job is started with: an interpreter with its packages, the runner program, and their identity."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.launchers import Job
from service.launchers.process.environment import RunnerEnvironment, ensure_environment
from service.launchers.process.packages import Progress
from service.launchers.process.places import cache_dir
from service.launchers.process.requirements import ensure_layer
from service.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplies:
    """`python program job.json` runs a job. `key` names all of it; `cold` says why no warm parent can have it."""

    python: Path
    program: Path
    key: str
    cold: str = ""


class Supply(Protocol):
    """Both raise RunnerEnvironmentError."""

    def standard(self) -> Supplies:
        """What jobs without wishes of their own get."""

    def for_job(self, job: Job, source: Path) -> Supplies:
        """What `job` gets, whose files are in `source`."""


class EnvironmentSupply:
    """The real thing: the runner environment of the settings' MLRun version, and the packed workflow runner."""

    def __init__(self, settings: Settings, progress: Progress = lambda _: None) -> None:
        self._settings = settings
        self._progress = progress
        self._lock = threading.Lock()
        self._made: tuple[RunnerEnvironment, Path] | None = None

    def standard(self) -> Supplies:
        environment, program = self._make()
        return Supplies(python=environment.python, program=program, key=f"{environment.key}-{program.stem}")

    def for_job(self, job: Job, source: Path) -> Supplies:
        if job.requirements_file is None:
            return self.standard()
        environment, program = self._make()
        layer = ensure_layer(self._settings, environment, source, job.requirements_file, self._progress)
        return Supplies(
            python=layer.python, program=program, key=f"{layer.key}-{program.stem}", cold="it brings requirements"
        )

    def _make(self) -> tuple[RunnerEnvironment, Path]:
        """Install what is missing; once it is there, this costs two looks at the disk."""
        from service.launchers.pack import pack

        with self._lock:
            if self._made is None or not all(path.exists() for path in (self._made[0].python, self._made[1])):
                self._made = ensure_environment(self._settings, self._progress), pack(cache_dir(self._settings))
            return self._made
