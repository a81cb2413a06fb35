"""Keeps the rows of runs as MLRun's database has them: their events, their logs, their ends; and has those aborted that are to end.

One thread for all runs that somebody follows. What it knows it reads from the store and from MLRun, so that a new service goes on where
the last one was killed; several may do the same at once. A MLRun that does not answer says nothing about any run, and a run that it
cannot tell of keeps no other waiting: each is asked for again after a while of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import structlog

from service.errors import MlrunAway, MlrunError, StoreError
from service.launchers.mlrun.late import Late
from service.launchers.mlrun.looking import Looking
from service.launchers.mlrun.order import LAUNCHER
from service.launchers.mlrun.submitting import SUBMITTING, MaySubmit, Submitting
from service.mlrun_api import MlrunApi
from service.store import Store, jobs
from service.store.jobs import PodJob

log = structlog.get_logger(__name__)

_ROUND_S = 1.0
# Somebody asks for a run so often as long as they follow it.
_INTEREST_S = 60.0
# Runs that nobody follows: what a service that was killed left behind, and those that were called lost.
_SWEEP_S = 60.0
# What has ended and was not done with, by a service that was killed in between, is after this: by then, whoever took over has read
# its events.
_FORGOTTEN_S = 900.0
# A run that MLRun cannot tell of is asked for again after so long, then after twice as long, and so on.
_AGAIN_S, _AGAIN_MOST_S = 2.0, 30.0


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
    def __init__(self, api: MlrunApi, store: Store, may_submit: MaySubmit) -> None:
        super().__init__(name="mlrun-following", daemon=True)
        self._api = api
        self._store = store
        self._woken = threading.Event()
        self._looking = Looking(api, store, soon=self._woken.set)
        self.submitting = Submitting(api, store, self._looking.lose, may_submit)
        self._late = Late(api, store, self.submitting.find)
        self._followed: dict[str, float] = {}  # until when somebody's interest holds
        self._leaving: set[str] = set()
        self._trouble: dict[str, _Trouble] = {}
        self._swept_at = time.monotonic()
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
        for job, row in ended.items():
            if not self._late.is_awaited(row):
                self._store.write(partial(jobs.clean, job_id=job))
            self._leaving.discard(job)
            self._looking.forget(job)
        if sweeps:
            self._late.gather()
        self._late.look()

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
            self.submitting.resolve(row, self._looking.order(row))
        else:
            self._looking.look(row)

    def _not_begun(self, row: PodJob) -> None:
        if row.cancel is not None:
            reason = row.cancel
            self._store.write(
                lambda connection: jobs.end(connection, row.id, reason, now=self._store.now(), unclaimed=True)
            )

    def _forget(self) -> None:
        now = time.monotonic()
        for job in [job for job, until in list(self._followed.items()) if until < now]:
            del self._followed[job]
            self._looking.forget(job)
