"""Keeps the store's jobs as the cluster has them: says why they wait, stops what is to stop, records how they ended.

One thread for all jobs, woken by what the watches see, and once a second for what time alone decides. It works on what the store and
the view say now and remembers nothing, so that a new service goes on where the last one was killed; several may do the same at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import structlog

from service.errors import StoreError
from service.launchers import EndReason
from service.launchers.kubernetes import names, pods
from service.launchers.kubernetes.api import Api
from service.launchers.kubernetes.errands import LAUNCHER, Errands
from service.launchers.kubernetes.logs import Logs
from service.launchers.kubernetes.placing import Placing
from service.launchers.kubernetes.verdict import Act, Verdict, judge
from service.launchers.kubernetes.view import Json, Seen, View
from service.launchers.kubernetes.warnings import Warnings
from service.store import Store, jobs
from service.store.jobs import PodJob

log = structlog.get_logger(__name__)

_ROUND_S = 1.0
_TIME_TO_BEGIN_S = 2.0
# Changes come in bursts: a pod has five states in a second.
_BURST_S = 0.03
# Somebody asks for a job so often as long as they follow it.
_INTEREST_S = 60.0
# A job that its pod ended (by callback) has its log's end by then, or never.
_LOG_S = 45.0


class Tending(threading.Thread):
    def __init__(
        self, api: Callable[[], Api], store: Store, view: View, placing: Placing, logs: Logs, start_timeout_s: float
    ) -> None:
        super().__init__(name="kubernetes-tending", daemon=True)
        self._api = api
        self._store = store
        self._view = view
        self._placing = placing
        self._logs = logs
        self._start_timeout_s = start_timeout_s
        self._warnings = Warnings()
        self._followed: dict[str, float] = {}  # until when somebody's interest holds
        self._over: dict[str, float] = {}  # jobs whose end and whole log are in the store; when that was so
        self._stopping = threading.Event()
        self._told = threading.Condition()
        self._errands = Errands(store, view, placing, self.is_over)

    # What others ask.

    def follow(self, job_ids: Iterable[str]) -> None:
        """Somebody follows these: their logs are read, and their ends waited for."""
        until = time.monotonic() + _INTEREST_S
        new = [job for job in job_ids if job not in self._followed]
        self._followed.update(dict.fromkeys(job_ids, until))
        if new:
            self._view.wake()

    def is_over(self, row: PodJob) -> bool:
        """Whether the end is recorded and its log is complete."""
        return row.ended is not None and (row.id in self._over or self._store.now() > (row.ended_at or 0.0) + _LOG_S)

    def let_go(self, job: str) -> None:
        """It is done with: once its pod has ended and all it printed was read, its objects are of no use any more."""
        self._errands.let_go(job)
        self.follow([job])
        self._view.wake()

    def wait(self, timeout_s: float) -> None:
        """Until something was written, or for so long."""
        with self._told:
            self._told.wait(timeout_s)

    def stop(self) -> None:
        self._stopping.set()
        self._view.wake()

    # The loop.

    def run(self) -> None:
        round_at = 0.0
        while not self._stopping.is_set():
            changed = self._view.changes(max(0.0, round_at - time.monotonic()))
            whole = time.monotonic() >= round_at or "" in changed
            if whole:
                round_at = time.monotonic() + _ROUND_S
            try:
                self._round(None if whole else changed)
            except StoreError as error:
                log.warning("jobs in pods could not be looked after; it is tried again", error=str(error))
            except Exception:  # a thread that ends would leave every job to itself
                log.exception("looking after jobs in pods met a bug")
            self._stopping.wait(_BURST_S)

    def _round(self, changed: set[str] | None) -> None:
        """All jobs, or those of these labels."""
        with self._store.read() as connection:
            rows = {row.id: row for row in jobs.not_ended(connection, LAUNCHER)}
            ended = [job for job in list(self._followed) if job not in rows and job not in self._over]
            rows |= jobs.those(connection, ended) if ended else {}
        waits: dict[str, str] = {}
        for row in rows.values():
            if changed is None or names.job_label(row.id) in changed:
                self._tend(row, waits)
        if waits:
            self._store.write(lambda connection: jobs.say(connection, waits))
        self._errands.run(whole=changed is None)
        if changed is None:
            self._forget()
            self._logs.forget_others({*rows, *self._followed})
        with self._told:
            self._told.notify_all()

    def _tend(self, row: PodJob, waits: dict[str, str]) -> None:
        if row.ended is not None:
            self._see_off(row, self._view.of(row.id))
            return
        if not _placed(row):
            return  # somebody is about to
        verdict = self._judge(row)
        self._read_log(row, verdict.pod)
        if verdict.act is Act.WAIT:
            detail = verdict.detail or ("" if row.claimer else row.detail)
            if detail != row.detail:
                waits[row.id] = detail
        elif verdict.act is Act.STOP:
            self._stop_job(row, verdict)
        elif verdict.act is Act.END:
            self._end(row, verdict)

    def _judge(self, row: PodJob) -> Verdict:
        seen = self._view.of(row.id)
        if not row.claimer and seen.whole:
            self._ask_why(row, seen)
        verdict = self._judged(row, seen)
        found: list[str] = []
        if verdict.act is Act.LOOK and self._errands.ask(row.id, lambda: found.append(self._placing.look(row.id))):
            verdict = self._judged(row, self._view.of(row.id), lacking=found[0])
        return verdict

    def _judged(self, row: PodJob, seen: Seen, *, lacking: str | None = None) -> Verdict:
        said, now = self._warnings.said, self._store.now()
        return judge(row, seen, said, now=now, start_timeout_s=self._start_timeout_s, lacking=lacking)

    def _ask_why(self, row: PodJob, seen: Seen) -> None:
        """Events are asked for only of a job that has had its time to begin, and whose pod does not say why it has not."""
        if self._store.now() < row.created_at + _TIME_TO_BEGIN_S:
            return
        if not seen.pods or pods.is_silent(seen.pods[-1]):
            self._errands.ask("", lambda: self._warnings.ask(self._api()))

    def _stop_job(self, row: PodJob, verdict: Verdict) -> None:
        reason = verdict.reason or EndReason.CANCELLED
        if row.cancel is None:
            if reason is EndReason.NOT_STARTED:
                # Only while nobody claimed: what has begun is not called not started.
                if not self._store.write(lambda connection: jobs.give_up(connection, row.id, reason)):
                    return
            else:
                self._store.write(lambda connection: jobs.cancel(connection, row.id, reason))
            self._store.write(lambda connection: jobs.say(connection, {row.id: verdict.detail}))
        self._errands.ask(row.id, lambda: self._placing.remove(row.id))

    def _end(self, row: PodJob, verdict: Verdict) -> None:
        if not (self._logs.give_up(row.id) if verdict.silent else self._finish_log(row, verdict.pod)):
            return
        assert verdict.reason is not None
        reason, code, detail = verdict.reason, verdict.exit_code, verdict.detail
        ended = self._store.write(
            lambda connection: jobs.end(
                connection,
                row.id,
                reason,
                now=self._store.now(),
                exit_code=code,
                detail=detail,
                unclaimed=not row.claimer,
            )
        )
        if not ended:
            return  # somebody else said so, or a pod has claimed it just now: it is judged again
        log.info("a job ended", job=row.id, reason=reason, exit_code=code, detail=detail)
        self._set_over(row.id)

    def _see_off(self, row: PodJob, seen: Seen) -> None:
        """It ended by its pod's own word: what the pod printed is still read."""
        pod = seen.pods[-1] if seen.pods else None
        late = self._store.now() > (row.ended_at or 0.0) + _LOG_S
        runs_on = pod is not None and pods.ending(pod) is None
        if late or (not runs_on and self._finish_log(row, pod)):
            self._set_over(row.id)

    def _set_over(self, job: str) -> None:
        self._over[job] = time.monotonic()
        self._logs.forget(job)

    # Logs.

    def _read_log(self, row: PodJob, pod: Json | None) -> None:
        if pod is not None and row.id in self._followed and pods.has_begun(pod):
            self._logs.follow(row.id, pod["metadata"]["name"], pod["metadata"]["uid"])

    def _finish_log(self, row: PodJob, pod: Json | None) -> bool:
        if pod is None:
            return self._logs.finish(row.id, None, "")
        return self._logs.finish(row.id, pod["metadata"]["name"], pod["metadata"]["uid"])

    def _forget(self) -> None:
        """What nobody asks for any more."""
        now = time.monotonic()
        for job in [job for job, until in list(self._followed.items()) if until < now]:
            del self._followed[job]
            self._logs.forget(job)
        self._over = {job: at for job, at in self._over.items() if at > now - 10 * _INTEREST_S}


def _placed(row: PodJob) -> bool:
    """Whether there was a Job: from then on its row says how it stands."""
    return bool(row.detail or row.claimer)
