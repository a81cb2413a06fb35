"""The process launcher's five verbs. Its whole memory is on disk, so a new service finds everything as it was."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection

from service import limits
from service.errors import LaunchFailed
from service.launchers import EndReason, Job, Life, LogChunk, Observation
from service.launchers.process import reading
from service.launchers.process.children import reap
from service.launchers.process.folder import Folder
from service.launchers.process.keeper import layout
from service.launchers.process.keepers import Keepers
from service.launchers.process.packages import Progress
from service.launchers.process.places import runner_user, runs_dir
from service.launchers.process.supply import EnvironmentSupply, Supplies, Supply
from service.launchers.process.trash import Trash
from service.launchers.process.warm import WarmParents
from service.launchers.results import result_of
from service.launchers.tracking import tracking
from service.settings import Settings

log = structlog.get_logger(__name__)

# Between two looks at the files of followed jobs, a few stat calls each: the shorter, the less time since there was news.
_LOOK_SOON_S = 0.003
_LOOK_S = 0.04
_KEEPER_LOOK_S = 1.0  # between two looks whether a job lost its keeper


def _to_log(line: str) -> None:
    log.info("runner environment", said=line)


class ProcessLauncher:
    """Runs jobs as processes on this machine (service/launchers/process/keeper has the rest of their lives)."""

    name = "process"

    def __init__(self, settings: Settings, supply: Supply | None = None, progress: Progress | None = None) -> None:
        """`progress` hears what the runner environment's installation says; without it the log does."""
        self._supply = supply or EnvironmentSupply(settings, progress or _to_log)
        self._user = runner_user(settings)
        self._runs = runs_dir(settings)
        self._told = tracking(settings)
        self._keepers = Keepers()
        self._trash = Trash(self._runs)
        self._news_at = 0.0
        self._warm = WarmParents(self._runs, self._user) if settings.launcher.warm else None

    @property
    def owner(self) -> int | None:
        return self._user

    @property
    def fingerprint(self) -> str:
        return self._supply.standard().key

    def prepare(self) -> None:
        """What the first job would wait for: install the runner environment, warm a parent up, have keepers at hand.

        Raises RunnerEnvironmentError. The service does well to call it in a thread when it starts.
        """
        self._trash.empty()
        self._keepers.keep_ready()
        supplies = self._supply.standard()
        if self._warm is not None:
            self._warm.warm_up(supplies)

    def expect(self, connection: Connection, job: Job) -> bool:  # noqa: ARG002 - it looks in files
        """Its notes are files, in which `ensure` looks."""
        return False

    def ensure(self, job: Job, *, is_new: bool = False) -> None:  # noqa: ARG002 - as above
        folder = self._folder(job.id)
        if folder.unclaimed:
            folder.begin_again()
        if folder.ended is not None:
            return
        if folder.cancelled and not folder.prepared:
            folder.cancel(EndReason.CANCELLED)
            return
        try:
            kept = folder.keep(lambda: folder.prepare(job, lambda source: self._supplies(job, source), self._told))
        except OSError as error:
            raise LaunchFailed(f"job {job.id} could not be started: {error}") from error
        if not kept:
            raise LaunchFailed(f"job {job.id} could not be started", detail=self.logs(job.id).text[-4000:])
        self._news_at = time.monotonic()

    def _supplies(self, job: Job, source: Path) -> tuple[Supplies, Path | str]:
        supplies = self._supply.for_job(job, source)
        return supplies, self._warm.offer(job, supplies) if self._warm else ""

    def observe(self, positions: Mapping[str, int], timeout_s: float) -> list[Observation]:
        """News are events and ends. With the time up and no news: every job as it stands."""
        deadline = time.monotonic() + timeout_s
        folders = {job: self._folder(job) for job in positions}
        keepers_at = 0.0
        while True:
            if time.monotonic() >= keepers_at:
                keepers_at = time.monotonic() + _KEEPER_LOOK_S
                self._look_after(folders)
            seen = [self._observe(folders[job], position) for job, position in positions.items()]
            news = [one for one in seen if one.events or one.life is Life.GONE]
            now = time.monotonic()
            if news:
                self._news_at = now
            if news or now >= deadline:
                return news or seen
            pause = max(_LOOK_SOON_S, min(_LOOK_S, (now - self._news_at) / 10))
            time.sleep(min(pause, deadline - now))

    def result(self, job: str) -> dict[str, Any]:
        folder = self._folder(job)
        data = reading.read_whole(folder.inner / layout.RESULT, folder.owner, limits.LOAD_RESULT_BYTES)
        return result_of(job, data)

    def cancel(self, job: str, reason: EndReason = EndReason.CANCELLED) -> None:
        try:
            self._folder(job).cancel(reason)
        except OSError as error:
            raise LaunchFailed(f"job {job} could not be cancelled: {error}") from error

    def logs(self, job: str, offset: int = 0) -> LogChunk:
        folder = self._folder(job)
        gone = folder.ended is not None
        text, following, size = reading.read_text(folder.path / layout.LOG, offset, limits.LOG_CHUNK_BYTES)
        return LogChunk(text, following, gone and following >= size)

    def clean(self, job: str) -> None:
        self._folder(job).clean()

    def close(self) -> None:
        if self._warm is not None:
            self._warm.close()
        self._keepers.close()
        self._trash.close()
        reap()

    def _folder(self, job: str) -> Folder:
        return Folder(self._runs, job, self._user, self._keepers, self._trash)

    def _observe(self, folder: Folder, position: int) -> Observation:
        ended = folder.ended  # before the events: what ended writes none after
        events, following, more = reading.read_events(folder.inner / layout.EVENTS, folder.owner, position)
        if ended is None or more:
            life = folder.life()
            if life is Life.GONE:  # since we looked, or with lines left to read
                life = Life.ALIVE
            return Observation(job=folder.job, life=life, position=following, events=events)
        return Observation(
            job=folder.job,
            life=Life.GONE,
            position=following,
            events=events,
            ended=EndReason(ended["reason"]) if ended.get("reason") in set(EndReason) else None,
            exit_code=ended["exit_code"] if isinstance(ended.get("exit_code"), int) else None,
        )

    def _look_after(self, folders: Mapping[str, Folder]) -> None:
        """A job that lost its keeper gets another: one that was never claimed is started then, at most once as ever."""
        reap()
        for folder in folders.values():
            if folder.prepared and folder.begun and folder.ended is None and not folder.kept():
                folder.keep()
