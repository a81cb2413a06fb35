"""What a job is started with: an interpreter with its packages, the runner program, and their identity."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.launchers import Job
from service.launchers.process.environment import Progress, RunnerEnvironment, ensure_environment
from service.launchers.process.places import cache_dir
from service.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplies:
    """`python program job.json` runs a job. `key` names what a warm parent has imported; None: always start cold,
    for the reason `cold`.
    """

    python: Path
    program: Path
    key: str | None = None
    cold: str = ""


class Supply(Protocol):
    @property
    def fingerprint(self) -> str: ...

    def __call__(self, job: Job) -> Supplies:
        """Raises RunnerEnvironmentError."""


class EnvironmentSupply:
    """The real thing: the runner environment of the settings' MLRun version, and the packed workflow runner."""

    def __init__(self, settings: Settings, progress: Progress = lambda _: None) -> None:
        self._settings = settings
        self._progress = progress
        self._lock = threading.Lock()
        self._made: tuple[RunnerEnvironment, Path] | None = None

    def __call__(self, job: Job) -> Supplies:  # noqa: ARG002
        environment, program = self._prepare()
        return Supplies(python=environment.python, program=program, key=self.fingerprint)

    @property
    def fingerprint(self) -> str:
        environment, program = self._prepare()
        return f"{environment.key}-{program.stem}"

    def _prepare(self) -> tuple[RunnerEnvironment, Path]:
        """Install what is missing; once it is there, this costs two looks at the disk."""
        from service.launchers.pack import pack

        with self._lock:
            if self._made is None or not all(path.exists() for path in (self._made[0].python, self._made[1])):
                self._made = ensure_environment(self._settings, self._progress), pack(cache_dir(self._settings))
            return self._made
