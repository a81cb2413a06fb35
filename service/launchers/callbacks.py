"""What pods ask and tell, decided over the store, so that each call may reach another replica and may be repeated.

A pod shows the token of its job and names the claimer that it is. Only the one that claimed the job is listened to, and
nobody once the job has ended: what a node that was given up for lost still tells changes nothing any more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Connection

from service import limits
from service.domain.projects import Json
from service.errors import Conflict, Gone, NotFound, PayloadTooLarge, Unauthorized
from service.launchers import EndReason, JobKind, tokens
from service.launchers.lines import text_of
from service.store import Store, jobs
from service.store.jobs import PodJob

# All lines of a job are measured whenever so many more have come.
_MEASURED = limits.RUN_EVENTS_BYTES // limits.EVENT_BYTES
# Of what an image lacks, as people read it.
_WORDS = 300
_FAULTS = 10


class Callbacks:
    """Whoever is let in by `authorize` may call the others for that job. They raise StoreUnavailable, and Gone for a job that has
    ended or is to be cancelled: its pod ends then. `told` is what every job's document holds besides its own."""

    def __init__(self, store: Store, told: Mapping[str, Any] | None = None) -> None:
        self._store = store
        self._told = dict(told or {})

    def authorize(self, job_id: str, token: str) -> None:
        """Raises Unauthorized, the same for no such job and for a wrong token."""
        right = tokens.fits(self._key, job_id, token)
        with self._store.read() as connection:
            if not right or jobs.find(connection, job_id) is None:
                raise Unauthorized("there is no such job, or this is not its token")

    def document(self, job_id: str) -> Json:
        """What the pod is to do (`service/launchers/document.py`)."""
        with self._store.read() as connection:
            job = _going_on(jobs.get(connection, job_id))
        document = job.document or {}
        return {**document, "job": {**document["job"], **self._told}} if "job" in document else document

    def source_of(self, job_id: str) -> tuple[str, str]:
        """The repository and the commit whose files the job runs on. Raises Conflict once it is claimed: its pod has them."""
        job = _going_on(self._job(job_id))
        if job.claimer is not None:
            raise _somebody_elses(job_id)
        return job.repository, job.commit

    def claim(self, job_id: str, claimer: str, found: Json) -> int:
        """The claimer runs the job, whoever else asks, and as often as it asks; how many events there are. Raises Conflict."""
        _going_on(self._job(job_id))
        line = _claimed(self._store.now(), found)

        def change(connection: Connection) -> PodJob | None:
            taken = jobs.claim(connection, job_id, claimer, line, now=self._store.now())
            job = jobs.find(connection, job_id)
            return job if taken or job is None or _over(job) else None

        job = self._store.write(change)
        if job is None:
            raise _somebody_elses(job_id)
        return _going_on(job).lines

    def events(self, job_id: str, claimer: str, since: int, said: Sequence[bytes]) -> int:
        """Lines of events from number `since` on; how many there are now, which is where the pod goes on. Raises Conflict,
        PayloadTooLarge.

        Where the answer is less than `since`, some are missing here and are sent again. What is told while the job
        is being cancelled is kept, and the pod hears Gone all the same.
        """
        job = self._of_claimer(job_id, claimer)
        if job.ended is not None:
            raise _gone(job)
        count = job.lines
        if said and since <= count:
            texts = [text_of(line) for line in said]
            count = self._store.write(lambda connection: _append(connection, job_id, since, texts))
        _going_on(job)
        return count

    def keep_result(self, job_id: str, claimer: str, result: bytes) -> None:
        """The result of a load, the same or another one before; it is read when the job has finished. Raises Conflict."""
        job = self._of_claimer(job_id, claimer)
        if job.kind is not JobKind.LOAD:
            raise Conflict(f"job {job_id} is a {job.kind}, which has no result but its last event")
        if job.ended is not None:
            raise _gone(job)
        self._store.write(lambda connection: jobs.keep_result(connection, job_id, result))

    def incompatible(self, job_id: str, faults: Sequence[str]) -> None:
        """The image cannot run the job, which ends with that. Raises Conflict where somebody runs it all the same."""
        said = "; ".join(_words(fault) for fault in faults[:_FAULTS])
        self._end(job_id, EndReason.INCOMPATIBLE, lambda job: f"image {_image(job)}: {said}")

    def no_source(self, job_id: str, why: str) -> None:
        """There will be no files for the job, however often it asks."""
        self._end(job_id, EndReason.NOT_STARTED, lambda _: why)

    def _end(self, job_id: str, reason: EndReason, detail: Callable[[PodJob], str]) -> None:
        if self._job(job_id).ended is reason:
            return

        def change(connection: Connection) -> None:
            job = _going_on(jobs.get(connection, job_id))
            if job.claimer is not None:
                raise _somebody_elses(job_id)
            jobs.end(connection, job_id, reason, now=self._store.now(), detail=detail(job), unclaimed=True)

        self._store.write(change)

    @cached_property
    def _key(self) -> bytes:
        return tokens.key_of_jobs(self._store)

    def _job(self, job_id: str) -> PodJob:
        with self._store.read() as connection:
            job = jobs.find(connection, job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id}")
        return job

    def _of_claimer(self, job_id: str, claimer: str) -> PodJob:
        job = self._job(job_id)
        if job.claimer != claimer:
            raise _somebody_elses(job_id) if job.claimer else Conflict(f"job {job_id} is not claimed", mend="claim it")
        return job


def _append(connection: Connection, job_id: str, since: int, texts: Sequence[str]) -> int:
    job = jobs.get(connection, job_id)
    end = since + len(texts)
    if job.ended is not None or end <= job.lines or since > job.lines:
        return job.lines
    grown = end // _MEASURED > job.lines // _MEASURED
    if end > limits.POD_LINES or (grown and jobs.lines_size(connection, job_id) > limits.RUN_EVENTS_BYTES):
        raise PayloadTooLarge(f"job {job_id} has told too much", mend="nothing more of it is kept")
    try:
        return jobs.append(connection, job_id, since, texts)
    except Conflict:  # the same pod, which had waited too long for an answer
        return jobs.get(connection, job_id).lines


def _claimed(now: float, found: Json) -> str:
    """The event that the runner itself writes in process mode."""
    versions: dict[str, Any] = {name: _version(found.get(name)) for name in ("python", "mlrun", "kfp")}
    at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"event": "claimed", "at": at, "pid": None, **versions, "warm": False}, separators=(",", ":"))


def _version(found: object) -> str | None:
    return _words(found)[:60] if isinstance(found, str) else None


def _image(job: PodJob) -> str:
    return (job.document or {}).get("image") or "of the runner"


def _words(text: str) -> str:
    """On one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:_WORDS]).split())


def _over(job: PodJob) -> bool:
    return job.ended is not None or job.cancel is not None


def _going_on(job: PodJob) -> PodJob:
    if _over(job):
        raise _gone(job)
    return job


def _gone(job: PodJob) -> Gone:
    why = f"has ended ({job.ended})" if job.ended else f"is to end ({job.cancel})"
    return Gone(f"job {job.id} {why}", mend="End what runs")


def _somebody_elses(job_id: str) -> Conflict:
    return Conflict(f"job {job_id} is somebody else's", mend="Leave it to them")
