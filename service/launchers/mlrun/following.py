"""Keeps the rows of runs as MLRun's database has them: their events, their logs, their ends; and has those aborted that are to end.

One thread for all runs that somebody follows. What it knows it reads from the store and from MLRun, so that a new service goes on where
the last one was killed; several may do the same at once. A MLRun that does not answer says nothing about any run, and a run that it
cannot tell of keeps no other waiting: each is asked for again after a while of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import structlog
from sqlalchemy import Connection

from service import limits
from service.domain import mlrun_runs
from service.domain.mlrun_runs import Said, Stage
from service.domain.projects import Json
from service.errors import MlrunAway, MlrunError, StoreError
from service.launchers import EndReason
from service.launchers.lines import event_of
from service.launchers.mlrun.lines import line_of
from service.launchers.mlrun.order import LAUNCHER, Order, read
from service.launchers.mlrun.submitting import SUBMITTING, Submitting
from service.mlrun_api import MlrunApi
from service.store import Store, jobs
from service.store.jobs import PodJob

log = structlog.get_logger(__name__)

_ROUND_S = 1.0
# Somebody asks for a run so often as long as they follow it.
_INTEREST_S = 60.0
# Runs that nobody follows: what a service that was killed left behind.
_SWEEP_S = 60.0
# What has ended and was not done with, by a service that was killed in between, is after this: by then, whoever took over has read
# its events.
_FORGOTTEN_S = 900.0
# An abort goes on behind its answer; it is asked for again after so long.
_ABORT_S = 10.0
# A run that is not in MLRun's database is looked for so long before it counts as deleted: longer than MLRun takes to be upgraded.
_GONE_S = 180.0
# MLRun may collect logs behind the run: the log is whole when nothing came for so long, or nothing at all.
_QUIET_S, _SILENT_S = 3.0, 15.0
# A log that cannot be read holds up the end of its run for so long.
_UNREAD_S = 60.0
# A run that MLRun cannot tell of is asked for again after so long, then after twice as long, and so on.
_AGAIN_S, _AGAIN_MOST_S = 2.0, 30.0


@dataclass
class _Known:
    """What is remembered of a run between two looks. Times are monotonic."""

    order: Order
    said: Said = field(default_factory=Said)
    aborted_at: float = -1e9
    missing_at: float | None = None
    unread_at: float | None = None
    grew_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A run could not be looked after `times` times in a row, and is again at `again_at`."""

    times: int = 0
    again_at: float = 0.0

    def more(self, asked_s: float) -> _Trouble:
        """Once more; the server may have asked for a pause."""
        pause = min(_AGAIN_S * 2**self.times, _AGAIN_MOST_S)
        return _Trouble(min(self.times + 1, 10), time.monotonic() + max(pause, asked_s))


class Following(threading.Thread):
    def __init__(self, api: MlrunApi, store: Store) -> None:
        super().__init__(name="mlrun-following", daemon=True)
        self._api = api
        self._store = store
        self.submitting = Submitting(api, store, self._lose)
        self._followed: dict[str, float] = {}  # until when somebody's interest holds
        self._leaving: set[str] = set()
        self._known: dict[str, _Known] = {}
        self._trouble: dict[str, _Trouble] = {}
        self._swept_at = time.monotonic()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._told = threading.Condition()

    # What others ask.

    def follow(self, job_ids: Iterable[str]) -> None:
        until = time.monotonic() + _INTEREST_S
        new = [job for job in job_ids if job not in self._followed]
        self._followed.update(dict.fromkeys(job_ids, until))
        if new:
            self._woken.set()

    def let_go(self, job: str) -> None:
        """It is done with: what it was to do is forgotten once its log is whole."""
        self._leaving.add(job)
        self.follow([job])
        self._woken.set()

    def wake(self) -> None:
        self._woken.set()

    def wait(self, timeout_s: float) -> None:
        """Until something was written, or for so long."""
        with self._told:
            self._told.wait(timeout_s)

    def stop(self) -> None:
        self._stopping.set()
        self._woken.set()

    # The loop.

    def run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            pause = _ROUND_S
            try:
                self._round()
            except MlrunAway as error:
                pause = max(2 * _ROUND_S, error.retry_after_s)
                log.warning("MLRun could not be asked about runs; it is tried again", error=str(error))
            except StoreError as error:
                log.warning("runs in MLRun could not be looked after; it is tried again", error=str(error))
            except Exception:  # a thread that ends would leave every run to itself
                log.exception("looking after runs in MLRun met a bug")
            with self._told:
                self._told.notify_all()
            self._woken.wait(pause)

    def _round(self) -> None:
        now = time.monotonic()
        sweeps = now > self._swept_at + _SWEEP_S
        with self._store.read() as connection:
            if sweeps:
                before = self._store.now() - _FORGOTTEN_S
                self._leaving.update(jobs.not_cleaned(connection, LAUNCHER, before=before))
            rows = {row.id: row for row in jobs.not_ended(connection, LAUNCHER)}
            ended = jobs.those(connection, [job for job in self._leaving if job not in rows])
        if sweeps:
            self._swept_at = now
            self._forget()
        self._trouble = {job: trouble for job, trouble in self._trouble.items() if job in rows}
        for row in rows.values():
            if sweeps or row.id in self._followed:
                self._tend(row)
        for job in ended:
            self._store.write(partial(jobs.clean, job_id=job))
            self._leaving.discard(job)
            self._known.pop(job, None)

    def _tend(self, row: PodJob) -> None:
        """Raises MlrunAway where the server is not reached at all, and StoreError: nothing else keeps other runs waiting."""
        trouble = self._trouble.get(row.id, _Trouble())
        if time.monotonic() < trouble.again_at:
            return
        try:
            self._step(row)
        except MlrunError as error:
            away = error if isinstance(error, MlrunAway) else None
            if away is not None and not (away.answer or away.sent):
                raise
            self._trouble[row.id] = trouble.more(away.retry_after_s if away else 0.0)
            log.warning("MLRun did not tell of a run; it is tried again", job=row.id, error=str(error))
        except StoreError:
            raise
        except Exception:  # what is wrong with one run is no other's trouble
            self._trouble[row.id] = trouble.more(0.0)
            log.exception("looking after a run in MLRun met a bug", job=row.id)
        else:
            self._trouble.pop(row.id, None)

    def _step(self, row: PodJob) -> None:
        if row.claimer is None:
            self._not_begun(row)
        elif row.claimer == SUBMITTING:
            self.submitting.resolve(row, self._of(row).order)
        else:
            self._look(row, self._of(row))

    def _not_begun(self, row: PodJob) -> None:
        if row.cancel is not None:
            reason = row.cancel
            self._store.write(
                lambda connection: jobs.end(connection, row.id, reason, now=self._store.now(), unclaimed=True)
            )

    def _look(self, row: PodJob, known: _Known) -> None:
        assert row.claimer is not None
        uid, order = row.claimer, known.order
        run = self._api.run(order.project, uid)
        if run is None:
            self._missing(row, known)
            return
        known.missing_at = None
        stage = mlrun_runs.stage(run)
        try:
            self._say(row, known, run, self._steps(order, run) if stage is not Stage.WAITING else [])
        finally:  # what cannot be told of is ended all the same
            if stage not in mlrun_runs.ENDED:
                self._end_what_is_to_end(row, known)
        log_is_whole = self._log_is_whole(row, known, over=stage in mlrun_runs.ENDED)
        if stage is Stage.ABORTED:
            self._end(row, row.cancel or EndReason.CANCELLED, "")
        elif stage in mlrun_runs.ENDED and log_is_whole:
            self._end(row, EndReason.EXITED, "")

    def _steps(self, order: Order, run: Json) -> list[Json]:
        workflow = mlrun_runs.workflow_id(run)
        return self._api.runs(order.project, labels=[f"workflow={workflow}"]) if workflow else []

    def _say(self, row: PodJob, known: _Known, run: Json, steps: list[Json]) -> None:
        """What is new, its end too, each once."""
        now, said = datetime.now(UTC), known.said
        if not said.finished:
            self._append(row.id, known, mlrun_runs.news(run, steps, said, now))
        if not said.finished and mlrun_runs.stage(run) in (Stage.COMPLETED, Stage.FAILED):
            self._append(row.id, known, [mlrun_runs.finish(run, steps, said, now)])
        if not said.begun and (detail := mlrun_runs.waits(run)) != row.detail:
            self._store.write(lambda connection: jobs.say(connection, {row.id: detail}))

    def _append(self, job: str, known: _Known, events: list[Json]) -> None:
        if not events:
            return

        def change(connection: Connection) -> bool:
            head = jobs.heads(connection, [job]).get(job)
            if head is None or head[0] != known.said.count:
                return False  # another service said it
            jobs.append(connection, job, head[0], [line_of(event) for event in events])
            return True

        if self._store.write(change):
            for event in events:
                known.said.hear(event)
        else:
            self._known.pop(job, None)

    def _end_what_is_to_end(self, row: PodJob, known: _Known) -> None:
        if row.cancel is None:
            if self._store.now() <= (row.claimed_at or 0.0) + known.order.timeout_s:
                return
            self._store.write(lambda connection: jobs.cancel(connection, row.id, EndReason.TIMED_OUT))
        if time.monotonic() > known.aborted_at + _ABORT_S:
            assert row.claimer is not None
            self._api.abort(known.order.project, row.claimer)
            known.aborted_at = time.monotonic()
            self._woken.set()

    def _missing(self, row: PodJob, known: _Known) -> None:
        now = time.monotonic()
        known.missing_at = known.missing_at or now
        if now > known.missing_at + _GONE_S:
            self._api.server(again=True)  # raises while it is not well, and then believes nothing
            self._end(row, row.cancel or EndReason.DELETED, f"MLRun's run {row.claimer} was deleted")

    def _lose(self, row: PodJob, reason: EndReason, detail: str) -> None:
        log.warning("a run is lost", job=row.id, why=detail)
        self._end(row, reason, detail)

    def _end(self, row: PodJob, reason: EndReason, detail: str) -> None:
        """It has begun, for all that anybody knows, and is not begun again."""

        def change(connection: Connection) -> bool:
            if not jobs.heads(connection, [row.id])[row.id][0]:
                begin = mlrun_runs.begin(
                    "" if row.claimer in (None, SUBMITTING) else row.claimer, datetime.now(UTC).isoformat()
                )
                jobs.append(connection, row.id, 0, [line_of(begin)])
            return jobs.end(connection, row.id, reason, now=self._store.now(), detail=detail)

        if self._store.write(change):
            log.info("a run in MLRun ended", job=row.id, uid=row.claimer, reason=reason, detail=detail)

    # Logs.

    def _log_is_whole(self, row: PodJob, known: _Known, *, over: bool) -> bool:
        """Read on; where it cannot be read, a run that is over waits for it no longer than a while."""
        try:
            whole = self._read_log(row, known)
        except MlrunError as error:
            if not over:
                raise
            known.unread_at = known.unread_at or time.monotonic()
            if time.monotonic() < known.unread_at + _UNREAD_S:
                raise
            log.warning("the log of a run in MLRun cannot be read; it ends without it", job=row.id, error=str(error))
            return True
        known.unread_at = None
        return whole

    def _read_log(self, row: PodJob, known: _Known) -> bool:
        """Read on; whether, of a run that has ended, all is there."""
        assert row.claimer is not None
        size = row.log_size
        while size < limits.RUN_LOG_BYTES and (data := self._api.log(known.order.project, row.claimer, size)):
            known.grew_at = time.monotonic()
            grown = self._store.write(partial(jobs.add_log, job_id=row.id, start=size, data=data))
            if grown <= size:
                break  # another service is at it
            size = grown
        return time.monotonic() > known.grew_at + (_QUIET_S if size else _SILENT_S)

    def _of(self, row: PodJob) -> _Known:
        """What is known of it: said by whoever followed it."""
        if (known := self._known.get(row.id)) is None:
            with self._store.read() as connection:
                whole = jobs.get(connection, row.id)
                lines = jobs.lines(connection, row.id, 0, limits.POD_LINES)
            known = self._known[row.id] = _Known(read(whole.document))
            for line in lines:
                known.said.hear(event_of(line.encode()))
        return known

    def _forget(self) -> None:
        now = time.monotonic()
        for job in [job for job, until in list(self._followed.items()) if until < now]:
            del self._followed[job]
            self._known.pop(job, None)
