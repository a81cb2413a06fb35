"""Runs that were called lost, since nobody found what was submitted for them, and that MLRun has all the same.

A process that was stopped just when it submitted may do so when it wakes, and MLRun may act long after its answer was waited for. People
have been told that the run is lost, and may have begun another: what turns up is aborted, and its run says so.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from sqlalchemy import Connection

from service import limits
from service.domain import mlrun_runs
from service.domain.mlrun_runs import Stage
from service.errors import MlrunAway, MlrunError, StoreError
from service.launchers import EndReason
from service.launchers.mlrun import kubeflow
from service.launchers.mlrun.order import LAUNCHER, Order, read
from service.launchers.mlrun.submitting import SUBMITTING
from service.mlrun_api import MlrunApi
from service.store import Store, jobs, runs
from service.store.jobs import PodJob

log = structlog.get_logger(__name__)

# The uids of MLRun's runs of an order, since then.
Find = Callable[[Order, float], list[str]]


class Late:
    def __init__(self, api: MlrunApi, store: Store, find: Find) -> None:
        self._api = api
        self._store = store
        self._find = find
        self._waiting: list[PodJob] = []
        self._rests = False

    def is_awaited(self, row: PodJob) -> bool:
        """It was lost in doubt, not long ago: what it was to do is remembered, to know it by."""
        lost = (row.claimer, row.ended) == (SUBMITTING, EndReason.EXITED)
        return lost and (row.ended_at or 0.0) > self._store.now() - limits.MLRUN_LATE_S

    def gather(self) -> None:
        """Now and then: all of them are to be looked for, one after the other. Raises StoreError."""
        self._rests = False
        if self._waiting:
            return
        since = self._store.now() - limits.MLRUN_LATE_S
        with self._store.read() as connection:
            self._waiting = jobs.lost_by(connection, LAUNCHER, SUBMITTING, since=since)

    def look(self) -> None:
        """For one of them, since runs that go on wait meanwhile; where MLRun does not tell, for no other before they are gathered again.
        Raises MlrunAway where the server is not reached at all, and StoreError."""
        if self._rests or not self._waiting:
            return
        row = self._waiting.pop(0)
        try:
            self._look_for(row)
        except MlrunError as error:
            self._rests = True
            if isinstance(error, MlrunAway) and not (error.answer or error.sent):
                raise
            log.warning("MLRun did not tell of a run that was lost; it is tried again", job=row.id, error=str(error))
        except StoreError:
            raise
        except Exception:  # what is wrong with one is no other's trouble
            log.exception("looking for a run that was lost met a bug", job=row.id)

    def _look_for(self, row: PodJob) -> None:
        order = read(row.document)
        found = self._find(order, row.claimed_at or 0.0)
        ends = [self._ended(order, uid) for uid in found]
        if not ends or None in ends:
            return
        told = ", ".join(f"{uid} ({end})" for uid, end in zip(found, ends, strict=True))
        what = f"MLRun began it all the same, which was found after it was called lost, and it was ended there: {told}"

        def change(connection: Connection) -> None:
            if jobs.found(connection, row.id, SUBMITTING, found[0], f"{row.detail}; {what}"):
                runs.remark(connection, row.id, what)

        self._store.write(change)
        log.warning("a run that was called lost turned up in MLRun and was ended there", job=row.id, ends=told)

    def _ended(self, order: Order, uid: str) -> Stage | None:
        """How it ended, with what it started in Kubeflow; None while it is being aborted."""
        run = self._api.run(order.project, uid)
        if run is None or (stage := mlrun_runs.stage(run)) not in mlrun_runs.ENDED:
            self._api.abort(order.project, uid)
            return None
        if stage is Stage.ABORTED:
            kubeflow.end(self._api, order, run)
        return stage
