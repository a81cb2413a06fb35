"""The MLRun launcher's verbs. Its memory is the store and MLRun's database, so a new service finds everything as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from service.errors import LoadFailed, MlrunError, RunnerEnvironmentError
from service.launchers import EndReason, Job, LogChunk, Observation
from service.launchers.mlrun.following import Following
from service.launchers.mlrun.order import LAUNCHER, order_of
from service.launchers.mlrun.submitting import MaySubmit
from service.launchers.observing import log_of, noted, observe
from service.mlrun_api import MlrunApi
from service.store import Store, jobs
from service.store.jobs import PodJob

# Between two looks into the store, where lines of events come in by any replica.
_LOOK_S = 0.25


class MlrunLauncher:
    """Has MLRun run workflows, each in a pod of MLRun's. It loads nothing."""

    name = LAUNCHER
    owner: int | None = None
    fingerprint = "mlrun"

    def __init__(self, store: Store, api: MlrunApi, may_submit: MaySubmit = lambda *_: None) -> None:
        """Whoever made `api` closes it."""
        self._store = store
        self._api = api
        self._following = Following(api, store, may_submit)
        self._lock = threading.Lock()
        self._closed = False
        self._started = False

    def prepare(self) -> None:
        try:
            self._api.server()
        except MlrunError as error:
            raise RunnerEnvironmentError(error.what, mend=error.mend, detail=error.detail) from error
        self._start()

    def expect(self, connection: Connection, job: Job) -> bool:
        return jobs.add(connection, self._new(job))

    def ensure(self, job: Job, *, is_new: bool = False) -> None:
        """Raises MlrunAway, which says nothing about the run, MlrunRefused, and what `may_submit` raises."""
        self._start()
        row = self._new(job) if is_new else noted(self._store, self._new(job))
        if row.claimer is None and row.cancel is None and row.ended is None:
            self._following.submitting.submit(job.id, order_of(job))
            self._following.wake()

    def observe(self, positions: Mapping[str, int], timeout_s: float) -> list[Observation]:
        """News are events and ends. With the time up and no news: every job as it stands."""
        self._start()
        self._following.follow(positions)
        deadline = time.monotonic() + timeout_s
        while True:
            seen = observe(self._store, positions, _is_over, everything=False)
            left = deadline - time.monotonic()
            if seen:
                return seen
            if left <= 0:
                return observe(self._store, positions, _is_over, everything=True)
            self._following.wait(min(_LOOK_S, left))

    def result(self, job: str) -> dict[str, Any]:
        raise LoadFailed(f"job {job} has no result: MLRun's runner loads nothing")

    def cancel(self, job: str, reason: EndReason = EndReason.CANCELLED) -> None:
        """First in the store, so that it is not submitted any more; MLRun is told as soon as it can be."""
        self._start()
        self._store.write(lambda connection: self._cancelled(connection, job, reason))
        self._following.follow([job])
        self._following.wake()

    def logs(self, job: str, offset: int = 0) -> LogChunk:
        _, chunk = log_of(self._store, job, offset, _is_over)
        return chunk

    def clean(self, job: str) -> None:
        self._start()
        self._following.let_go(job)

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._following.stop()
        if self._started:
            self._following.join(timeout=5)

    def _start(self) -> None:
        """The thread that follows, with the first need of it."""
        with self._lock:
            if not (self._started or self._closed):
                self._started = True
                self._following.start()

    def _cancelled(self, connection: Connection, job: str, reason: EndReason) -> None:
        """What nobody has submitted ends at once."""
        jobs.cancel(connection, job, reason)
        row = jobs.find(connection, job)
        if row is not None and row.claimer is None:
            jobs.end(connection, job, row.cancel or reason, now=self._store.now(), unclaimed=True)

    def _new(self, job: Job) -> PodJob:
        return PodJob(
            id=job.id,
            launcher=LAUNCHER,
            kind=job.kind,
            repository=job.repository,
            commit=job.commit,
            created_at=self._store.now(),
            document=order_of(job).document(),
        )


def _is_over(row: PodJob) -> bool:
    """An end is only written when all there is of the log was read."""
    return row.ended is not None
