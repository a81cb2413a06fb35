"""Which syncs and runs give way to which, and whose turn it is.

One run of a (project, workflow) is active at a time. What gives way is only ever the same wish said again: a push's run
to a newer push's, a schedule's fire to its next fire. A tag's run, and one that a person asked for, never give way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.domain.projects import Concurrency
from service.domain.refs import TAGS
from service.domain.states import ACTIVE_RUNS, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedSync:
    id: str
    seq: int
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """A run that has not ended. `schedule` is set for a fire; `asked` for one that a person wanted. Ids grow with time."""

    id: str
    workflow: str
    state: RunState
    ref: str
    concurrency: Concurrency
    schedule: str | None = None
    asked: bool = False

    @property
    def stays(self) -> bool:
        return self.asked or self.ref.startswith(TAGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivesWay:
    """What a new run does to others: queued ones that are superseded, active ones that are to be cancelled."""

    superseded: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()


def superseded_syncs(queued: Iterable[QueuedSync]) -> dict[str, str]:
    """Of a project's queued syncs of a ref only the newest is done: an older one's id → the newest's. Tags stay."""
    newest: dict[str, QueuedSync] = {}
    syncs = [sync for sync in queued if not sync.ref.startswith(TAGS)]
    for sync in syncs:
        if sync.ref not in newest or sync.seq > newest[sync.ref].seq:
            newest[sync.ref] = sync
    return {sync.id: newest[sync.ref].id for sync in syncs if sync is not newest[sync.ref]}


def gives_way(new: OpenRun, others: Iterable[OpenRun]) -> GivesWay:
    """What the others of the same project do about `new`."""
    if new.concurrency is Concurrency.QUEUE:
        return GivesWay()
    same = [run for run in others if run.workflow == new.workflow and run.id != new.id and not run.stays]
    queued = [run for run in same if run.state is RunState.QUEUED and run.schedule == new.schedule]
    active = [run for run in same if run.state in ACTIVE_RUNS] if new.concurrency is Concurrency.CANCEL_RUNNING else []
    return GivesWay(superseded=tuple(run.id for run in queued), cancelled=tuple(run.id for run in active))


def next_to_start(runs: Sequence[OpenRun], room: int) -> tuple[str, ...]:
    """The queued runs whose turn it is, oldest first: at most `room`, and one a workflow unless one of it is active.

    `runs` are one project's.
    """
    busy = {run.workflow for run in runs if run.state in ACTIVE_RUNS}
    turn: list[str] = []
    for run in sorted(runs, key=lambda run: run.id):
        if len(turn) >= room:
            break
        if run.state is RunState.QUEUED and run.workflow not in busy:
            busy.add(run.workflow)
            turn.append(run.id)
    return tuple(turn)
