"""Which runs give way to which.

One run of a (project, workflow) is active at a time. What gives way is only ever the same wish said again: a push's run
to a newer push's, a schedule's fire to its next fire. A tag's run, and one that a person asked for, never give way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from service.domain.projects import Concurrency
from service.domain.refs import TAGS
from service.domain.states import ACTIVE_RUNS, RunState


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


def gives_way(new: OpenRun, others: Iterable[OpenRun]) -> GivesWay:
    """What the others of the same project do about `new`."""
    if new.concurrency is Concurrency.QUEUE:
        return GivesWay()
    same = [run for run in others if run.workflow == new.workflow and run.id != new.id and not run.stays]
    queued = [run for run in same if run.state is RunState.QUEUED and run.schedule == new.schedule]
    active = [run for run in same if run.state in ACTIVE_RUNS] if new.concurrency is Concurrency.CANCEL_RUNNING else []
    return GivesWay(superseded=tuple(run.id for run in queued), cancelled=tuple(run.id for run in active))
