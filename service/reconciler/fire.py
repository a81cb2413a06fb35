"""Due times become runs: each due time is one row, written in the transaction that queues its run.

The clock only says when to look. What is due is computed from the store: every due time between `evaluated_until` and
now is either fired or recorded as missed, so a crash, a sleeping machine or a jump of the clock loses none and doubles none.
"""

from __future__ import annotations

import structlog
from sqlalchemy import Connection

from service.domain import cron
from service.domain.states import FireState
from service.errors import CronError
from service.faults import wall_clock
from service.reconciler import news
from service.reconciler.dispatcher import Held
from service.reconciler.handover import is_fired_by_mlrun
from service.reconciler.images import additions_of, runner_image
from service.reconciler.queue_run import queue_run
from service.reconciler.rooms import Rooms
from service.store import new_id, projects, revisions, schedules, syncs
from service.store.projects import Project
from service.store.runs import Run
from service.store.schedules import Fire, Schedule

log = structlog.get_logger(__name__)


def step(rooms: Rooms, held: Held) -> float | None:
    def change(conn: Connection) -> None:
        schedule = schedules.find(conn, held.key, lock=True)
        if schedule is not None and schedule.removed_at is None:
            fire_due(rooms, conn, schedule)

    held.write(change)
    return None


def fire_due(rooms: Rooms, conn: Connection, schedule: Schedule) -> None:
    """Bring a schedule up to now."""
    if schedule.suspended:
        return
    wall = wall_clock()
    try:
        rule = cron.parse(schedule.cron, schedule.timezone)
    except CronError as error:  # its time zone is not on this machine any more: nothing is due until it is again
        log.error("a schedule cannot be read", schedule=schedule.id, name=schedule.name, error=str(error))
        until = min(wall, schedule.evaluated_until)
        schedules.turn_back(conn, schedule.id, evaluated_until=until, next_due=None)
        return
    following = rule.next_after(wall)
    next_due = following.timestamp() if following else None
    if is_fired_by_mlrun(rooms, conn, schedule.project):
        # MLRun fires it. It is kept ready for the day on which the clock is ours again, with nothing to catch up.
        schedules.turn_back(conn, schedule.id, evaluated_until=wall, next_due=next_due)
        return
    if wall < schedule.evaluated_until:
        # The clock was set back. Times that were fired had their turn; those that were missed will be on time now.
        schedules.turn_back(conn, schedule.id, evaluated_until=wall, next_due=next_due)
        return
    fires, missed = cron.catch_up(rule, schedule.evaluated_until, wall, schedule.catch_up)
    project = projects.find(conn, schedule.project)
    _miss(rooms, conn, project, schedule, [one.timestamp() for one in missed], "passed over by the catch-up rule")
    for due in fires:
        _fire(rooms, conn, project, schedule, due.timestamp())
    schedules.advance(conn, schedule.id, evaluated_until=wall, next_due=next_due)


def _fire(rooms: Rooms, conn: Connection, project: Project | None, schedule: Schedule, due: float) -> None:
    """One run of the revision in force now, whatever it was when the schedule was made."""
    if project is None or project.in_force is None or project.in_force_sync is None:
        return _miss(rooms, conn, project, schedule, [due], "no revision is in force")
    revision = revisions.get(conn, project.name, project.in_force)
    if schedule.workflow not in revision.resolved.workflows:
        return _miss(
            rooms, conn, project, schedule, [due], f"the revision in force has no workflow {schedule.workflow}"
        )
    sync = syncs.get(conn, project.in_force_sync)
    launcher = rooms.launcher_for(sync.declaration).name
    run = Run(
        id=new_id(),
        project=project.name,
        repository=project.repository,
        workflow=schedule.workflow,
        schedule=schedule.id,
        due=due,
        declared_by=sync.id,
        ref=sync.ref,
        commit=sync.commit,
        revision=project.in_force,
        arguments=schedule.arguments,
        reason=f"schedule {schedule.name}",
        launcher=launcher,
        image=runner_image(
            rooms.settings, launcher, sync.declaration, revision.resolved, schedule.workflow, additions_of(sync)
        ),
        mlrun_version=rooms.settings.mlrun.version,
        timeout_s=sync.declaration.runner.timeout_s or rooms.settings.launcher.run_timeout,
        created_at=rooms.store.now(),
    )
    fire = Fire(schedule=schedule.id, due=due, state=FireState.FIRED, at=wall_clock(), run=run.id)
    if schedules.add_fire(conn, fire):
        queue_run(rooms, conn, run)
    return None


def _miss(
    rooms: Rooms, conn: Connection, project: Project | None, schedule: Schedule, times: list[float], reason: str
) -> None:
    at = wall_clock()
    missed = [
        due
        for due in times
        if schedules.add_fire(conn, Fire(schedule=schedule.id, due=due, state=FireState.MISSED, at=at, reason=reason))
    ]
    if missed and project is not None:
        news.of_missed(rooms, conn, project, schedule, missed)
