"""A run is submitted to MLRun once, whatever happens on the way.

MLRun's submit cannot be claimed and not be repeated: two of them are two runs. So before it the run's row says that it is being
submitted, and from then on nobody submits it again. Where the answer does not come, or a service ends before it, the run is looked up
in MLRun's database by the address of its source, which is its own. What is not found in time, or twice, is lost, and people are told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import structlog
from sqlalchemy import Connection

from service import limits
from service.domain import mlrun_requests
from service.domain.projects import Json
from service.errors import MlrunAway, MlrunError, MlrunRefused, StoreUnavailable
from service.faults import point
from service.launchers import EndReason
from service.launchers.mlrun.order import Order, address
from service.mlrun_api import MlrunApi
from service.store import Store, jobs
from service.store.jobs import PodJob

log = structlog.get_logger(__name__)

SUBMITTING = "submitting"
# MLRun's clock may be another one.
_CLOCKS = timedelta(hours=12)
_LOOK_S = 2.0
_BEING = "it is being submitted to MLRun"

# Asked in the transaction that takes a run, by its id; raises what keeps it from being submitted now.
MaySubmit = Callable[[Connection, str], None]
# How a run that was begun ends here: its reason, and why in words for people.
End = Callable[[PodJob, EndReason, str], None]


class Submitting:
    """`end` is called for what is lost."""

    def __init__(self, api: MlrunApi, store: Store, end: End, may_submit: MaySubmit) -> None:
        self._api = api
        self._store = store
        self._end = end
        self._may_submit = may_submit
        self._flying: set[str] = set()
        self._looked: dict[str, float] = {}
        self._lock = threading.Lock()

    def submit(self, job: str, order: Order) -> None:
        """Once. Raises MlrunAway where it certainly was not, and may be later; MlrunRefused, LaunchFailed where it never will be; and
        what keeps it from being submitted now."""
        where = address(order, self._api.server(), job)
        with self._in_flight(job):
            until = time.monotonic() + limits.SUBMIT_TIMEOUT_S
            if not self._store.write(self._taken(job)):
                return
            point("mlrun.before-submit")
            try:
                with self._api.within(until):
                    if not self._is_ours(job):
                        return
                    answer = self._api.submit(order.project, where, order.request)
            except MlrunAway as error:
                self._unanswered(job, error)
                return
            except MlrunRefused as error:
                self._refused(job, order, error)
                return
            point("mlrun.after-submit")
            self._accepted(job, str(answer.get("run_id") or ""))

    def resolve(self, row: PodJob, order: Order) -> None:
        """It was being submitted, and nobody has said what came of it. Raises MlrunAway."""
        now, began = time.monotonic(), row.claimed_at or 0.0
        with self._lock:
            if row.id in self._flying or now < self._looked.get(row.id, 0.0) + _LOOK_S:
                return
            self._looked[row.id] = now
        found = self.find(order, began)
        if len(found) == 1:
            self._accepted(row.id, found[0])
        elif found:
            self._end(row, EndReason.EXITED, f"{len(found)} runs in MLRun have its source: {', '.join(found)}")
        elif self._store.now() > began + limits.MLRUN_DOUBT_S:
            what = "MLRun did not answer when it was submitted, and no run of it is in MLRun's database"
            self._end(row, EndReason.EXITED, what)

    def _taken(self, job: str) -> Callable[[Connection], bool]:
        def change(connection: Connection) -> bool:
            self._may_submit(connection, job)
            return jobs.take(connection, job, SUBMITTING, _BEING, now=self._store.now())

        return change

    def _is_ours(self, job: str) -> bool:
        """Looked at just before it is sent: whoever was stopped since it was taken finds that it was called lost, or took too long, and is
        not to send it any more; what is to be cancelled ends here."""
        try:
            with self._store.read() as connection:
                row = jobs.get(connection, job)
        except StoreUnavailable:
            self._hand_over(job, None, "")  # nothing was sent
            raise
        if row.ended is not None or row.claimer != SUBMITTING:
            return False
        if (reason := row.cancel) is None:
            return True
        self._store.write(
            lambda connection: jobs.end(connection, job, reason, now=self._store.now(), detail="", unclaimed=False)
        )
        return False

    def _unanswered(self, job: str, error: MlrunAway) -> None:
        if error.sent:
            log.warning("MLRun did not answer a submit; it is looked up", job=job, error=str(error))
            self._hand_over(job, SUBMITTING, f"{error.what}; whether it runs is being looked up")
            return
        self._hand_over(job, None, "")
        raise error

    def _refused(self, job: str, order: Order, error: MlrunRefused) -> None:
        """It was not begun where MLRun said no and has no run of it: it may say no to what it has begun all the same, and who stands
        before it may have changed its yes."""
        if error.answer and not self._certainly_not_begun(order, error):
            log.warning("whether MLRun took a submit is not known; it is looked up", job=job, error=str(error))
            self._hand_over(job, SUBMITTING, f"{error.what}; whether it runs is being looked up")
            return
        self._store.write(
            lambda connection: jobs.end(
                connection, job, EndReason.NOT_STARTED, now=self._store.now(), detail=str(error), unclaimed=False
            )
        )
        raise error

    def _certainly_not_begun(self, order: Order, error: MlrunRefused) -> bool:
        if error.answer < HTTPStatus.BAD_REQUEST:
            return False
        try:
            return not self.find(order, self._store.now())
        except MlrunError:
            return False

    def _accepted(self, job: str, uid: str) -> None:
        if not uid:
            self._hand_over(job, SUBMITTING, "MLRun named no run; it is being looked up")
            return
        self._hand_over(job, uid, "MLRun has it")
        log.info("a run was submitted to MLRun", job=job, uid=uid)

    def _hand_over(self, job: str, to: str | None, detail: str) -> None:
        self._store.write(lambda connection: jobs.hand_over(connection, job, SUBMITTING, to, detail))

    def find(self, order: Order, since: float) -> list[str]:
        """The uids of MLRun's runs that have this run's source."""
        begin = datetime.fromtimestamp(since, UTC) - _CLOCKS
        listed = self._api.runs(order.project, labels=[mlrun_requests.RUNNER_LABEL], since=begin)
        return [_uid(run) for run in listed if mlrun_requests.source_of(run) == order.source]

    @contextmanager
    def _in_flight(self, job: str) -> Iterator[None]:
        with self._lock:
            self._flying.add(job)
        try:
            yield
        finally:
            with self._lock:
                self._flying.discard(job)
                self._looked.pop(job, None)


def _uid(run: Json) -> str:
    return str((run.get("metadata") or {}).get("uid") or "")
