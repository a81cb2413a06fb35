"""The Kubernetes launcher's verbs. Its memory is the store and the cluster, so a new service finds everything as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from sqlalchemy import Connection

from service.errors import ClusterAway, ClusterRefused, LauncherError, LaunchFailed, RunnerEnvironmentError
from service.launchers import EndReason, Job, JobKind, LogChunk, Observation, pack
from service.launchers.document import document_of
from service.launchers.kubernetes import names
from service.launchers.kubernetes.api import Api
from service.launchers.kubernetes.check import lacking_rights
from service.launchers.kubernetes.errands import LAUNCHER
from service.launchers.kubernetes.logs import Logs
from service.launchers.kubernetes.placing import Placing
from service.launchers.kubernetes.tending import Tending
from service.launchers.kubernetes.view import JOBS, PODS, View
from service.launchers.kubernetes.watch import Watch
from service.launchers.observing import log_of, noted, observe
from service.launchers.results import result_of
from service.launchers.tokens import key_of_jobs, token_of
from service.settings import Settings
from service.store import Store, jobs
from service.store.jobs import PodJob

# Between two looks into the store, where lines of events come in by any replica: the shorter, the less time since there was news.
_LOOK_SOON_S = 0.02
_LOOK_S = 0.25


class KubernetesLauncher:
    """Runs jobs as Jobs of a cluster. Nothing of the cluster is touched before it is needed."""

    name = LAUNCHER
    owner: int | None = None

    def __init__(self, settings: Settings, store: Store, program: bytes | None = None) -> None:
        """`program` is what pods run, instead of the workflow runner."""
        self._settings = settings.launcher.kubernetes
        self._url = settings.server.internal_url or settings.server.public_url or ""
        self._store = store
        self._view = View()
        self._placing = Placing(self._settings, self._api, self._view, self._told, program or pack.archive())
        self._logs = Logs(self._api, store, self._view)
        self._tending = Tending(self._api, store, self._view, self._placing, self._logs, self._settings.start_timeout)
        self._watches: list[Watch] = []
        self._client: Api | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._news_at = 0.0

    @property
    def fingerprint(self) -> str:
        return f"pod {self._placing.digest[:16]}"

    def prepare(self) -> None:
        try:
            lacking = lacking_rights(self._api())
        except (ClusterAway, ClusterRefused) as error:
            raise RunnerEnvironmentError(error.what, mend=error.mend, detail=error.detail) from error
        if lacking:
            mend = "give them to the service's account: the operator's guide has the table, `mlrun-gitops doctor` looks again"
            raise RunnerEnvironmentError(
                f"the service may not {lacking[0]} in namespace {self._api().namespace}", mend=mend
            )
        self._start()

    def expect(self, connection: Connection, job: Job) -> bool:
        return jobs.add(connection, self._new(job))

    def ensure(self, job: Job, *, is_new: bool = False) -> None:
        self._start()
        if not job.image:
            raise LaunchFailed(f"job {job.id} names no image", mend="name one in .gitops.yaml: runner.image")
        row = self._new(job) if is_new else noted(self._store, self._new(job))
        if row.claimer is not None or row.cancel is not None:
            return
        if row.ended is not None:
            self._placing.clear(job.id, lambda: self._is_over(job.id))
            if not self._store.write(lambda connection: jobs.begin_again(connection, job.id, document_of(job))):
                return
        self._placing.place(job)
        if self._store.write(lambda connection: _placed(connection, job.id, self._store.now())):
            self._view.wake()
        else:  # it was cancelled meanwhile, by somebody who found nothing to remove
            self._placing.remove(job.id)

    def observe(self, positions: Mapping[str, int], timeout_s: float) -> list[Observation]:
        """News are events and ends. With the time up and no news: every job as it stands."""
        self._start()
        self._tending.follow(positions)
        deadline = time.monotonic() + timeout_s
        while True:
            seen = observe(self._store, positions, self._tending.is_over, everything=False)
            now = time.monotonic()
            if seen:
                self._news_at = now
                if any(one.ended is EndReason.DELETED for one in seen):
                    self._placing.look_again()
                return seen
            if now >= deadline:
                return observe(self._store, positions, self._tending.is_over, everything=True)
            pause = max(_LOOK_SOON_S, min(_LOOK_S, (now - self._news_at) / 10))
            self._tending.wait(min(pause, deadline - now))

    def result(self, job: str) -> dict[str, Any]:
        with self._store.read() as connection:
            data = jobs.result(connection, job)
        return result_of(job, data)

    def cancel(self, job: str, reason: EndReason = EndReason.CANCELLED) -> None:
        """First in the store, so that it is not claimed any more. Where the cluster does not answer, it is told later."""
        self._start()
        self._tending.follow([job])
        if self._store.write(lambda connection: self._cancelled(connection, job, reason)):
            try:
                self._placing.remove(job)
            except LauncherError:
                self._view.wake()

    def logs(self, job: str, offset: int = 0) -> LogChunk:
        row, chunk = log_of(self._store, job, offset, self._tending.is_over)
        if row is not None and row.ended is None and not self._closed:
            self._fetch_log(job)
        return chunk

    def clean(self, job: str) -> None:
        self._start()
        self._store.write(lambda connection: jobs.clean(connection, job))
        self._tending.let_go(job)

    def close(self) -> None:
        with self._lock:
            self._closed = True
        for watch in self._watches:
            watch.stop()
        self._tending.stop()
        if self._watches:
            self._tending.join(timeout=5)
        self._logs.close()
        if self._client is not None:
            self._client.close()

    @cached_property
    def _key(self) -> bytes:
        return key_of_jobs(self._store)

    def _api(self) -> Api:
        with self._lock:
            if self._client is None:
                self._client = Api(self._settings)
            return self._client

    def _start(self) -> None:
        """The threads that follow, with the first need of them."""
        with self._lock:
            if self._watches or self._closed:
                return
            selector = names.selector(self._settings.instance)
            self._watches = [Watch(self._api, kind, selector, self._view) for kind in (JOBS, PODS)]
            for thread in (*self._watches, self._tending):
                thread.start()

    def _told(self, job_id: str) -> dict[str, str]:
        """What a job's Secret holds."""
        if not self._url:
            failure = LaunchFailed("pods are not told where the service is", mend="set server.internal_url")
            failure.retry = False
            raise failure
        told = {"id": job_id, "url": self._url, "token": token_of(self._key, job_id)}
        if self._settings.ca_bundle is None:
            return told
        try:
            return {**told, "ca.crt": self._settings.ca_bundle.read_text(encoding="utf-8")}
        except OSError as error:
            mend = "mend launcher.kubernetes.ca_bundle"
            raise LaunchFailed(f"{self._settings.ca_bundle} cannot be read: {error.strerror}", mend=mend) from error

    def _new(self, job: Job) -> PodJob:
        return PodJob(
            id=job.id,
            launcher=LAUNCHER,
            kind=job.kind,
            repository=job.repository,
            commit=job.commit,
            created_at=self._store.now(),
            document=document_of(job),
        )

    def _is_over(self, job_id: str) -> bool:
        """Whether nobody began it anew."""
        with self._store.read() as connection:
            row = jobs.find(connection, job_id)
        return row is not None and row.ended is not None and row.claimer is None

    def _cancelled(self, connection: Connection, job: str, reason: EndReason) -> bool:
        """Whether there may be something in the cluster. A job that was not made yet ends before it begins."""
        now = self._store.now()
        unknown = PodJob(id=job, launcher=LAUNCHER, kind=JobKind.RUN, repository="", commit="", created_at=now)
        expected = not jobs.add(connection, unknown)
        jobs.cancel(connection, job, reason)
        row = jobs.find(connection, job)
        assert row is not None
        if row.detail or row.claimer or row.ended:
            return row.ended is None
        jobs.end(connection, job, reason, now=now)
        return expected  # and half of it may have been made

    def _fetch_log(self, job: str) -> None:
        pod = next(iter(self._view.of(job).pods[-1:]), None)
        if pod is not None:
            self._logs.fetch(job, pod["metadata"]["name"], pod["metadata"]["uid"])


def _placed(connection: Connection, job_id: str, now: float) -> bool:
    """Its row says from now on how it stands. False when it is to end instead."""
    row = jobs.find(connection, job_id)
    if row is None or row.cancel is not None or row.ended is not None:
        return False
    if not row.detail:
        jobs.made(connection, job_id, "its Job was made", now=now)
    return True
