"""One look at a run in MLRun's database: what is new becomes events of its row, and its log and its end come with it.

What is remembered between two looks can be read again from the row, so that several services may look at the same run: what one of them
said, no other says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import structlog
from sqlalchemy import Connection

from service import limits
from service.domain import mlrun_runs
from service.domain.mlrun_runs import Said, Stage
from service.domain.projects import Json
from service.errors import MlrunError
from service.launchers import EndReason
from service.launchers.lines import event_of
from service.launchers.mlrun import kubeflow
from service.launchers.mlrun.lines import line_of
from service.launchers.mlrun.order import Order, read
from service.launchers.mlrun.submitting import SUBMITTING
from service.mlrun_api import MlrunApi
from service.store import Store, jobs
from service.store.jobs import PodJob

log = structlog.get_logger(__name__)

# An abort goes on behind its answer; it is asked for again after so long.
_ABORT_S = 10.0
# A run that is not in MLRun's database is looked for so long before it counts as deleted: longer than MLRun takes to be upgraded.
_GONE_S = 180.0
# MLRun may collect logs behind the run: the log is whole when nothing came for so long, or nothing at all.
_QUIET_S, _SILENT_S = 3.0, 15.0
# A log that cannot be read holds up the end of its run for so long.
_UNREAD_S = 60.0


@dataclass
class _Known:
    """What is remembered of a run between two looks. Times are monotonic."""

    order: Order
    said: Said = field(default_factory=Said)
    aborted_at: float = -1e9
    missing_at: float | None = None
    unread_at: float | None = None
    grew_at: float = field(default_factory=time.monotonic)


class Looking:
    """`soon` is called where the next look should not wait."""

    def __init__(self, api: MlrunApi, store: Store, *, soon: Callable[[], None]) -> None:
        self._api = api
        self._store = store
        self._soon = soon
        self._known: dict[str, _Known] = {}

    def order(self, row: PodJob) -> Order:
        return self._of(row).order

    def look(self, row: PodJob) -> None:
        """Raises MlrunError, which says nothing about the run, and StoreError."""
        assert row.claimer is not None
        known = self._of(row)
        uid, order = row.claimer, known.order
        run = self._api.run(order.project, uid)
        if run is None:
            self._missing(row, known)
            return
        known.missing_at = None
        stage = mlrun_runs.stage(run)
        try:
            self._say(row, known, run, kubeflow.steps(self._api, order, run) if stage is not Stage.WAITING else [])
        finally:  # what cannot be told of is ended all the same
            if stage not in mlrun_runs.ENDED:
                self._end_what_is_to_end(row, known)
        log_is_whole = self._log_is_whole(row, known, over=stage in mlrun_runs.ENDED)
        if stage is Stage.ABORTED:
            kubeflow.end(self._api, order, run)
            self._end(row, row.cancel or EndReason.CANCELLED, "")
        elif stage in mlrun_runs.ENDED and log_is_whole:
            self._end(row, EndReason.EXITED, "")

    def forget(self, job: str) -> None:
        self._known.pop(job, None)

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
            self._soon()

    def _missing(self, row: PodJob, known: _Known) -> None:
        now = time.monotonic()
        known.missing_at = known.missing_at or now
        if now > known.missing_at + _GONE_S:
            self._api.server(again=True)  # raises while it is not well, and then believes nothing
            self._end(row, row.cancel or EndReason.DELETED, f"MLRun's run {row.claimer} was deleted")

    def lose(self, row: PodJob, reason: EndReason, detail: str) -> None:
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
