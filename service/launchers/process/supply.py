"""What a job is started with: an interpreter with its packages, the runner program, and their identity."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.errors import RunnerEnvironmentError
from service.launchers import Job
from service.launchers.process.environment import RunnerEnvironment, ensure_environment
from service.launchers.process.packages import Progress
from service.launchers.process.places import cache_dir
from service.launchers.process.requirements import ensure_layer
from service.settings import Settings

# A search that found nothing, or an install that failed, takes its time; whoever asks meanwhile gets the same answer.
_AGAIN_S = 30.0


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
        self._failed: tuple[float, RunnerEnvironmentError] | None = None

    def standard(self) -> Supplies:
        environment, program = self._make()
        return Supplies(python=environment.python, program=program, key=f"{environment.key}-{program.stem}")

    def for_job(self, job: Job, source: Path) -> Supplies:
        if job.runner.requirements_file is None:
            return self.standard()
        environment, program = self._make()
        layer = ensure_layer(self._settings, environment, source, job.runner.requirements_file, self._progress)
        return Supplies(
            python=layer.python, program=program, key=f"{layer.key}-{program.stem}", cold="it brings requirements"
        )

    def _make(self) -> tuple[RunnerEnvironment, Path]:
        """Install what is missing; once it is there, this costs two looks at the disk."""
        from service.launchers.pack import pack

        with self._lock:
            if self._made is not None and self._made[0].python.exists() and self._made[1].exists():
                return self._made
            if self._failed is not None and time.monotonic() < self._failed[0] + _AGAIN_S:
                raise self._failed[1]
            try:
                self._made = ensure_environment(self._settings, self._progress), pack(cache_dir(self._settings))
            except RunnerEnvironmentError as error:
                self._failed = time.monotonic(), error
                raise
            return self._made
