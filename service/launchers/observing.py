"""What is known of jobs that are rows, read from the store alone: events, ends, details and logs as their launchers write them there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from service import limits
from service.launchers import Life, LogChunk, Observation
from service.launchers.lines import event_of
from service.launchers.text import whole
from service.store import Store, jobs
from service.store.jobs import PodJob

# Of one job in one look; the rest comes with the next.
_LINES = 200
_BYTES = 4 * limits.EVENT_BYTES


def observe(
    store: Store, positions: Mapping[str, int], is_over: Callable[[PodJob], bool], *, everything: bool
) -> list[Observation]:
    """Those with news, or all: events since each one's position, and its life."""
    with store.read() as connection:
        heads = jobs.heads(connection, positions)
        wanted = [job for job, position in positions.items() if everything or _is_news(heads.get(job), position)]
        rows = jobs.those(connection, wanted) if wanted else {}
        seen = [_observed(connection, job, rows.get(job), positions[job], is_over) for job in wanted]
    return seen if everything else [one for one in seen if one.events or one.life is Life.GONE]


def log_of(store: Store, job: str, offset: int, is_over: Callable[[PodJob], bool]) -> tuple[PodJob | None, LogChunk]:
    """The job's row, and what it printed from byte `offset` on; a negative one counts from the end."""
    with store.read() as connection:
        row = jobs.find(connection, job)
        size = row.log_size if row else 0
        start = max(0, size + offset if offset < 0 else offset)
        data = whole(jobs.read_log(connection, job, start, limits.LOG_CHUNK_BYTES))
    following = start + len(data)
    complete = row is not None and is_over(row) and following >= size
    return row, LogChunk(data.decode("utf-8", "replace"), following, complete)


def noted(store: Store, job: PodJob) -> PodJob:
    """The row of this job: the one that is there, or this one."""

    def change(connection: Connection) -> PodJob:
        return job if jobs.add(connection, job) else jobs.get(connection, job.id)

    with store.read() as connection:
        known = jobs.find(connection, job.id)
    return known or store.write(change)


def _is_news(head: tuple[int, bool] | None, position: int) -> bool:
    return head is not None and (head[0] > position or head[1])


def _observed(
    connection: Connection, job: str, row: PodJob | None, position: int, is_over: Callable[[PodJob], bool]
) -> Observation:
    if row is None or not (row.detail or row.lines or row.ended):
        return Observation(job=job, life=Life.UNKNOWN, position=position)
    events, following = _events(connection, row, position)
    if following >= row.lines and is_over(row):
        return Observation(
            job=job,
            life=Life.GONE,
            position=following,
            events=events,
            ended=row.ended,
            exit_code=row.exit_code,
            detail=row.detail,
        )
    life = Life.ALIVE if row.lines or row.ended else Life.STARTING
    detail = row.detail if life is Life.STARTING else ""
    return Observation(job=job, life=life, position=following, events=events, detail=detail)


def _events(connection: Connection, row: PodJob, position: int) -> tuple[tuple[dict[str, Any], ...], int]:
    """Events from number `position` on, and where to go on. A job that was cleaned has none any more."""
    if row.lines <= position:
        return (), position
    found: list[dict[str, Any]] = []
    size = 0
    for line in jobs.lines(connection, row.id, position, _LINES):
        size += len(line)
        if found and size > _BYTES:
            break
        found.append(event_of(line.encode("utf-8", "replace")))
    return tuple(found), position + len(found) if found else row.lines
