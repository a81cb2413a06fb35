"""Carry out a plan: configuration and schedules through the target, runs as rows, news into the outbox.

All of it happens on the connection of one transaction: either the sync succeeded and everything it planned is
there, or nothing is.
"""

from __future__ import annotations

from sqlalchemy import Connection

from service.domain.events import Topic
from service.domain.plan import Action, Plan, WriteKind
from service.domain.projects import Resolved
from service.reconciler import news
from service.reconciler.fire import fire_due
from service.reconciler.queue_run import queue_run
from service.reconciler.rooms import Rooms
from service.store import new_id, schedules
from service.store.projects import Project
from service.store.runs import Run
from service.store.syncs import Sync
from service.targets.store import StoreTarget

_TOPICS = {
    Action.CREATE: Topic.SCHEDULE_CREATED,
    Action.CHANGE: Topic.SCHEDULE_CHANGED,
    Action.REMOVE: Topic.SCHEDULE_REMOVED,
}


def apply(rooms: Rooms, conn: Connection, project: Project, sync: Sync, plan: Plan, resolved: Resolved) -> None:
    """Save, schedule, queue the runs."""
    now = rooms.store.now()
    for schedule in plan.schedules:
        if plan.puts_in_force and (there := schedules.by_name(conn, project.name, schedule.name)):
            fire_due(rooms, conn, there)  # what is due by the old rule is fired by the old rule
    StoreTarget().apply(conn, project=project.name, sync=sync.id, plan=plan, resolved=resolved, now=now)
    if plan.save and plan.puts_in_force:
        news.of_sync(rooms, conn, Topic.CONFIG_SAVED, sync)
    for schedule in plan.schedules if plan.puts_in_force else ():
        if schedule.action in _TOPICS:
            topic = _TOPICS[schedule.action]
            news.of_schedule(
                rooms,
                conn,
                topic,
                project,
                schedule.name,
                before=schedule.before,
                after=schedule.after,
                reason=schedule.reason,
                sync=sync,
            )
    for write in plan.writes:
        if write.kind is WriteKind.SCHEDULE:
            news.of_schedule(rooms, conn, _TOPICS[write.action], project, write.name, reason=write.reason, sync=sync)
    for planned in plan.runs:
        queue_run(
            rooms,
            conn,
            Run(
                id=new_id(),
                project=project.name,
                repository=sync.repository,
                workflow=planned.workflow,
                sync=sync.id,
                ref=sync.ref,
                commit=sync.commit,
                revision=plan.revision,
                arguments=planned.arguments,
                concurrency=planned.concurrency,
                reason=planned.reason,
                launcher=rooms.launcher_for(sync.declaration).name,
                image=planned.image,
                mlrun_version=rooms.settings.mlrun.version,
                timeout_s=sync.declaration.runner.timeout_s or rooms.settings.launcher.run_timeout,
                created_at=now,
            ),
        )
