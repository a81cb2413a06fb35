"""Jobs that run in pods: who runs one, what it said, printed and left, and how it ended.

What the process launcher keeps in a job's folder stands here in rows, since a pod has no disk of ours and its next call
may reach another replica. A job is claimed once, its lines are numbered, its first end counts; so each call may be repeated.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from service.domain.projects import Json
from service.errors import Conflict
from service.launchers import EndReason, JobKind
from service.store.models import job_lines, job_logs, runs
from service.store.models import jobs as table
from service.store.sql import SOMETHING, Rows, known


@dataclass(frozen=True, slots=True, kw_only=True)
class PodJob:
    """`document` is what the runner is to do, without paths; `lines` counts its events; `log_size` is in bytes, and `log_mark`
    says where in the pod's own log they end.

    `created_at` is when it was asked for, and once its Job was made, when that was. `detail` says how a job stands that has not begun (`0/3 nodes are available ...`), or why it ended.
    """

    id: str
    launcher: str
    kind: JobKind
    repository: str
    commit: str
    created_at: float
    document: Json | None = None
    claimer: str | None = None
    claimed_at: float | None = None
    lines: int = 0
    log_size: int = 0
    log_mark: str = ""
    cancel: EndReason | None = None
    ended: EndReason | None = None
    exit_code: int | None = None
    detail: str = ""
    ended_at: float | None = None


# What a run says when it begins, before its first step: `claimed` and `started`.
_BEGUN_LINES = 2

_rows = Rows(table, PodJob, json=["document"], heavy=["document"])
_heads = select(table.c.id, table.c.lines, table.c.ended.is_not(None)).where(
    table.c.id.in_(bindparam("those", expanding=True))
)
_lines = (
    select(job_lines.c.line)
    .where(job_lines.c.job == bindparam("of"), job_lines.c.number >= bindparam("since"))
    .order_by(job_lines.c.number)
    .limit(bindparam("most"))
)


def add(connection: Connection, job: PodJob) -> bool:
    """False when it is there already: it stays as it is."""
    return _rows.add(connection, job)


def find(connection: Connection, job_id: str) -> PodJob | None:
    """Without its document."""
    return _rows.find(connection, id=job_id)


def get(connection: Connection, job_id: str) -> PodJob:
    """With its document, which an ended job has no more. Raises NotFound."""
    return known(_rows.find(connection, whole=True, id=job_id), f"job {job_id}")


def those(connection: Connection, job_ids: Collection[str]) -> dict[str, PodJob]:
    """Those of them that are known, by id, without their documents."""
    return {job.id: job for job in _rows.those(connection, id=list(job_ids))}


def heads(connection: Connection, job_ids: Collection[str]) -> dict[str, tuple[int, bool]]:
    """How many events each has, and whether it has ended: what is asked of hundreds, again and again."""
    found = connection.execute(_heads, {"those": list(job_ids)})
    return {job_id: (count, bool(ended)) for job_id, count, ended in found}


def not_ended(connection: Connection, launcher: str) -> list[PodJob]:
    """Oldest first, without their documents."""
    return _rows.those(connection, "created_at", "id", launcher=launcher, ended=None)


def beginning(connection: Connection, launcher: str, project: str, *, since: float) -> list[str]:
    """Runs of this project that were given away to be run since then, and of which no step is known yet, by id."""
    query = (
        select(table.c.id)
        .join(runs, runs.c.id == table.c.id)
        .where(runs.c.project == project, table.c.launcher == launcher, table.c.claimed_at > since)
        .where(table.c.ended.is_(None), table.c.cancel.is_(None), table.c.lines <= _BEGUN_LINES)
    )
    return list(connection.execute(query.order_by(table.c.id)).scalars())


def claim(connection: Connection, job_id: str, claimer: str, line: str, *, now: float) -> bool:
    """Whether `claimer` runs it now, or did already; `line` is the event that says so, and the first of all.

    A job that has ended or is to be cancelled is nobody's to claim.
    """
    free = {"id": job_id, "claimer": None, "ended": None, "cancel": None}
    if _rows.set(connection, free, claimer=claimer, claimed_at=now, lines=1):
        connection.execute(insert(job_lines).values(job=job_id, number=0, line=line))
        return True
    job = find(connection, job_id)
    return job is not None and job.claimer == claimer


def take(connection: Connection, job_id: str, claimer: str, detail: str, *, now: float) -> bool:
    """Whether it is `claimer`'s from now on, who has not said anything yet. It was nobody's, and is nobody's to take a second time."""
    free = {"id": job_id, "claimer": None, "ended": None, "cancel": None}
    return bool(_rows.set(connection, free, claimer=claimer, claimed_at=now, detail=detail))


def hand_over(connection: Connection, job_id: str, claimer: str, to: str | None, detail: str) -> bool:
    """From `claimer`, who has not said anything yet, to another one, or back to nobody; False when it is not theirs, or has ended."""
    theirs = {"id": job_id, "claimer": claimer, "ended": None}
    return bool(_rows.set(connection, theirs, claimer=to, detail=detail, **({} if to else {"claimed_at": None})))


def lost_by(connection: Connection, launcher: str, claimer: str, *, since: float) -> list[PodJob]:
    """Those that ended since then, lost, while they were `claimer`'s and of which it is remembered what they were to do."""
    where = (table.c.launcher == launcher, table.c.claimer == claimer, table.c.ended == EndReason.EXITED)
    query = _rows.select(whole=True).where(*where, table.c.document.is_not(None), table.c.ended_at > since)
    return _rows.all(connection, query.order_by(table.c.id))


def found(connection: Connection, job_id: str, claimer: str, by: str, detail: str) -> bool:
    """One that ended while it was `claimer`'s turns out to be run by somebody; False when that was known."""
    return bool(
        _rows.set(connection, {"id": job_id, "claimer": claimer, "ended": SOMETHING}, claimer=by, detail=detail)
    )


def append(connection: Connection, job_id: str, since: int, lines: Sequence[str]) -> int:
    """Its events from number `since` on, of which some may be here; how many there are then. Raises Conflict for a gap, NotFound."""
    count = known(find(connection, job_id), f"job {job_id}").lines
    if since > count:
        raise Conflict(
            f"job {job_id} has {count} events, none before number {since}", mend=f"send from number {count} on"
        )
    fresh = list(enumerate(lines, since))[count - since :]
    if not fresh:
        return count
    if not _rows.set(connection, {"id": job_id, "lines": count}, lines=count + len(fresh)):
        raise Conflict(f"somebody else sends events of job {job_id}", mend="send them again")
    connection.execute(insert(job_lines), [{"job": job_id, "number": n, "line": line} for n, line in fresh])
    return count + len(fresh)


def lines(connection: Connection, job_id: str, since: int, limit: int) -> list[str]:
    return list(connection.execute(_lines, {"of": job_id, "since": since, "most": limit}).scalars())


def lines_size(connection: Connection, job_id: str) -> int:
    """Characters of all its lines."""
    query = select(func.coalesce(func.sum(func.length(job_lines.c.line)), 0)).where(job_lines.c.job == job_id)
    return int(connection.execute(query).scalar_one())


def keep_result(connection: Connection, job_id: str, result: bytes) -> None:
    connection.execute(update(table).where(table.c.id == job_id).values(result=result))


def result(connection: Connection, job_id: str) -> bytes | None:
    found: bytes | None = connection.execute(select(table.c.result).where(table.c.id == job_id)).scalar_one_or_none()
    return found


def made(connection: Connection, job_id: str, detail: str, *, now: float) -> None:
    """Its Job is in the cluster, since `now` by our clock: the cluster's may be another one."""
    _rows.set(connection, {"id": job_id, "ended": None}, detail=detail, created_at=now)


def say(connection: Connection, details: Mapping[str, str]) -> None:
    """How jobs stand that have not ended."""
    for job_id, detail in details.items():
        _rows.set(connection, {"id": job_id, "ended": None}, detail=detail)


def cancel(connection: Connection, job_id: str, reason: EndReason) -> None:
    """It is to end; the first reason stays. One that ended before anybody claimed it does not begin again; nothing else is done to a job
    that has ended."""
    unended = or_(table.c.ended.is_(None), table.c.claimer.is_(None))
    _rows.set_where(connection, [table.c.id == job_id, table.c.cancel.is_(None), unended], cancel=reason)


def cancel_elsewhere(connection: Connection, launchers: Collection[str]) -> None:
    """Those that none of these launchers has are to end: nobody follows them, and their pods hear so when they call."""
    where = [table.c.launcher.not_in(sorted(launchers)), table.c.cancel.is_(None), table.c.ended.is_(None)]
    _rows.set_where(connection, where, cancel=EndReason.CANCELLED)


def cancel_of(connection: Connection, launcher: str) -> None:
    """Those of this launcher are to end."""
    _rows.set(connection, {"launcher": launcher, "cancel": None, "ended": None}, cancel=EndReason.CANCELLED)


def launchers_of_open(connection: Connection) -> set[str]:
    """Launchers that have some which have not ended and are not to."""
    open_ = (table.c.ended.is_(None), table.c.cancel.is_(None))
    return set(connection.execute(select(table.c.launcher).where(*open_).distinct()).scalars())


def give_up(connection: Connection, job_id: str, reason: EndReason) -> bool:
    """It is to end, since nobody claimed it; False when somebody has, or it was to end already."""
    free = {"id": job_id, "claimer": None, "cancel": None, "ended": None}
    return bool(_rows.set(connection, free, cancel=reason))


def end(
    connection: Connection,
    job_id: str,
    reason: EndReason,
    *,
    now: float,
    exit_code: int | None = None,
    detail: str = "",
    unclaimed: bool = False,
) -> bool:
    """False when it had ended: the first end counts. An end of what nobody runs (`unclaimed`) is none once somebody does."""
    open_ = {"id": job_id, "ended": None, **({"claimer": None} if unclaimed else {})}
    return bool(_rows.set(connection, open_, ended=reason, exit_code=exit_code, detail=detail, ended_at=now))


def begin_again(connection: Connection, job_id: str, document: Json | None) -> bool:
    """A job that ended before anybody claimed it may be started anew, to do what `document` says: what it was to do may have been
    forgotten with its end. Its lines and its log go on."""
    unclaimed = {"id": job_id, "ended": SOMETHING, "claimer": None, "cancel": None}
    return bool(
        _rows.set(connection, unclaimed, document=document, ended=None, exit_code=None, detail="", ended_at=None)
    )


def add_log(connection: Connection, job_id: str, start: int, data: bytes, mark: str = "") -> int:
    """Bytes of its log from `start` on, of which some may be here; the log's size then. A gap is refused by the size as it is.

    `mark` says where in the pod's own log they end.
    """
    size = known(find(connection, job_id), f"job {job_id}").log_size
    fresh = data[max(0, size - start) :]
    if start > size or not fresh:
        return size
    if not _rows.set(connection, {"id": job_id, "log_size": size}, log_size=size + len(fresh), log_mark=mark):
        return size
    connection.execute(insert(job_logs).values(job=job_id, start=size, data=fresh))
    return size + len(fresh)


def read_log(connection: Connection, job_id: str, offset: int, cap: int) -> bytes:
    """At most `cap` bytes from byte `offset` on."""
    first = select(func.max(job_logs.c.start)).where(job_logs.c.job == job_id, job_logs.c.start <= offset)
    begin = connection.execute(first).scalar()
    if begin is None:
        return b""
    query = select(job_logs.c.data).where(
        job_logs.c.job == job_id, job_logs.c.start >= begin, job_logs.c.start < offset + cap
    )
    found = b"".join(connection.execute(query.order_by(job_logs.c.start)).scalars())
    return found[offset - begin : offset - begin + cap]


def not_cleaned(connection: Connection, launcher: str, *, before: float, limit: int = 100) -> list[str]:
    """Those that ended before then and still have what they were to do."""
    where = (table.c.launcher == launcher, table.c.ended.is_not(None), table.c.document.is_not(None))
    query = select(table.c.id).where(*where, table.c.ended_at < before).order_by(table.c.ended_at).limit(limit)
    return list(connection.execute(query).scalars())


def clean(connection: Connection, job_id: str) -> None:
    """Forget what an ended job was to do, said and left; that it ended, and its log, stay."""
    if _rows.set(connection, {"id": job_id, "ended": SOMETHING}, document=None, result=None):
        connection.execute(delete(job_lines).where(job_lines.c.job == job_id))


def old_loads(connection: Connection, launcher: str, *, before: float, limit: int = 100) -> list[str]:
    """Loads that ended before then and were cleaned: of a run, people still want the log."""
    where = (table.c.launcher == launcher, table.c.ended.is_not(None), table.c.document.is_(None))
    query = select(table.c.id).where(*where, table.c.kind == JobKind.LOAD, table.c.ended_at < before)
    return list(connection.execute(query.order_by(table.c.ended_at).limit(limit)).scalars())


def forget(connection: Connection, job_id: str) -> None:
    """An ended job, with all that is known of it."""
    if connection.execute(delete(table).where(table.c.id == job_id, table.c.ended.is_not(None))).rowcount:
        connection.execute(delete(job_lines).where(job_lines.c.job == job_id))
        connection.execute(delete(job_logs).where(job_logs.c.job == job_id))
