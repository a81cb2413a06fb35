"""The embedded target: revisions, what is in force, and schedules, in the service's own store."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from service.domain import cron
from service.domain.plan import Action, Plan, PlannedSchedule
from service.domain.projects import Resolved
from service.faults import wall_clock
from service.store import projects, revisions, schedules


class StoreTarget:
    """Saves on the caller's connection, so that a sync and what it saved are one transaction.

    Due times are of the wall clock, not of the store's: what a cron line says is what the clock on the wall shows.
    """

    def __init__(self, clock: Callable[[], float] = wall_clock) -> None:
        self._wall_clock = clock

    def apply(self, conn: Connection, *, project: str, sync: str, plan: Plan, resolved: Resolved, now: float) -> None:
        """Put the revision away and, unless the plan is for a tag, in force with its schedules."""
        revisions.put(conn, project=project, revision=plan.revision, commit=plan.commit, resolved=resolved, now=now)
        if not plan.puts_in_force:
            return
        projects.put_in_force(conn, project, revision=plan.revision, sync=sync, commit=plan.commit)
        for schedule in plan.schedules:
            self._schedule(conn, project, sync, schedule, now)

    def _schedule(self, conn: Connection, project: str, sync: str, planned: PlannedSchedule, now: float) -> None:
        spec = planned.after
        if planned.action == Action.KEEP:
            return
        if planned.action == Action.REMOVE or spec is None:
            schedules.remove_named(conn, project, planned.name, now=now, sync=sync)
            return
        wall = self._wall_clock()
        due = cron.parse(spec.cron, spec.timezone).next_after(wall)
        next_due = due.timestamp() if due else None
        schedules.put(conn, project, spec, next_due=next_due, now=wall, sync=sync)
