"""What has to be done in the cluster, sooner or later: asked with patience, and again until it is done.

A request about one job is not repeated at once, and a cluster that does not answer is left alone for a while by all jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import structlog

from service import limits
from service.errors import ClusterAway, LauncherError
from service.launchers import EndReason, JobKind
from service.launchers.kubernetes import pods
from service.launchers.kubernetes.placing import Placing
from service.launchers.kubernetes.view import Seen, View
from service.store import Store, jobs
from service.store.jobs import PodJob

log = structlog.get_logger(__name__)

LAUNCHER = "kubernetes"
AGAIN_S = 1.0
# A pod whose runner has said its last word, and which goes on for all that, is removed after this.
_LINGER_S = 120.0
# What is ended and was not cleaned, by a service that was killed in between, is let go after this: by then, whoever took over
# has read its events.
_FORGOTTEN_S = 900.0
_SWEEP_S = 60.0
_REMEMBERED_S = 600.0
# Of a sweep, for old loads; the rest goes with the next one.
_FORGETTING_S = 1.0


class Errands:
    """`is_over`: whether a job's end and all of its log are in the store. One thread asks."""

    def __init__(self, store: Store, view: View, placing: Placing, is_over: Callable[[PodJob], bool]) -> None:
        self._store = store
        self._view = view
        self._placing = placing
        self._is_over = is_over
        self._leaving: dict[str, float] = {}  # jobs whose objects are to go; since when
        self._asked: dict[str, float] = {}
        self._quiet_until = 0.0
        self._swept_at = time.monotonic()

    def ask(self, job: str, what: Callable[[], object]) -> bool:
        """Whether it was done now."""
        now = time.monotonic()
        if now < self._quiet_until or now < self._asked.get(job, 0.0) + AGAIN_S:
            return False
        self._asked[job] = now
        try:
            what()
        except LauncherError as error:
            if isinstance(error, ClusterAway):
                self._quiet_until = time.monotonic() + max(AGAIN_S, error.retry_after_s)
            log.warning("the cluster did not do what a job needs; it is tried again", job=job, error=str(error))
            return False
        return True

    def let_go(self, job: str) -> None:
        """It is done with: once its pod has ended and all it printed was read, its objects are of no use any more."""
        self._leaving.setdefault(job, time.monotonic())

    def run(self, *, whole: bool) -> None:
        """What is open; with `whole` also what was forgotten. Raises StoreUnavailable."""
        if whole:
            self._sweep()
            before = time.monotonic() - _REMEMBERED_S
            self._asked = {job: at for job, at in self._asked.items() if at > before}
        if self._leaving:
            self._let_go()

    def _let_go(self) -> None:
        with self._store.read() as connection:
            rows = jobs.those(connection, list(self._leaving))
        for job, since in list(self._leaving.items()):
            row = rows.get(job)
            if row is not None and self._began_again(row, since):
                del self._leaving[job]
                continue
            if row is not None and not self._is_over(row):
                if row.ended is None and time.monotonic() > since + _LINGER_S:
                    self.ask(job, partial(self._placing.remove, job))
                continue
            keep = _is_worth_keeping(self._view.of(job))
            if self.ask(job, partial(self._placing.let_go, job, partial(self._is_left, job, since), keep=keep)):
                self._store.write(partial(jobs.clean, job_id=job))
                del self._leaving[job]
                self._view.forget(job)

    def _is_left(self, job: str, since: float) -> bool:
        with self._store.read() as connection:
            row = jobs.find(connection, job)
        return row is None or not self._began_again(row, since)

    def _began_again(self, row: PodJob, since: float) -> bool:
        """What was let go of, at `since`, had ended, or was to; or had long been claimed."""
        if row.ended is not None or row.cancel is not None:
            return False
        return row.claimed_at is None or row.claimed_at > self._store.now() - (time.monotonic() - since)

    def _sweep(self) -> None:
        """Jobs whose end was recorded by a service that was killed before it let them go, in the cluster or in the store; and loads that
        are of no use any more."""
        if time.monotonic() < self._swept_at + _SWEEP_S:
            return
        self._swept_at = time.monotonic()
        there = [
            job["spec"]["template"]["spec"]["containers"][0]
            for job in self._view.everything()
            if "ttlSecondsAfterFinished" not in job["spec"]
        ]
        envs = [env for container in there for env in container.get("env", ()) if env["name"] == "GITOPS_JOB"]
        before = self._store.now() - _FORGOTTEN_S
        with self._store.read() as connection:
            known = jobs.those(connection, [env["value"] for env in envs if env.get("value")])
            forgotten = jobs.not_cleaned(connection, LAUNCHER, before=before)
            half_made = [row.id for row in jobs.not_ended(connection, LAUNCHER) if _is_half_made(row, before)]
            old = jobs.old_loads(connection, LAUNCHER, before=self._store.now() - limits.POD_LOADS_KEPT_S)
        for job in half_made:
            self._store.write(partial(jobs.end, job_id=job, reason=EndReason.CANCELLED, now=self._store.now()))
        for job in (
            half_made
            + forgotten
            + [row.id for row in known.values() if row.ended_at is not None and row.ended_at < before]
        ):
            self.let_go(job)
        until = time.monotonic() + _FORGETTING_S
        for job in old:  # one at a time: a log may be large, and others write too
            if time.monotonic() < until:
                self._store.write(partial(jobs.forget, job_id=job))


def _is_half_made(row: PodJob, before: float) -> bool:
    """A load that could not be made, nor cancelled then; its next attempt had another name. A run has the same one, however long it takes."""
    return row.kind is JobKind.LOAD and not (row.detail or row.claimer) and row.created_at < before


def _is_worth_keeping(seen: Seen) -> bool:
    """A Job that ran to an end is kept to be looked at; one that still has a pod, or never had one, goes at once."""
    return seen.job is not None and bool(seen.pods) and all(pods.ending(pod) is not None for pod in seen.pods)
