"""Rows that the API has to show: one project with all that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from service.domain.events import Topic
from service.domain.plan import Cause, Plan
from service.domain.planned import ScheduleSpec
from service.domain.projects import Declaration, Resolved, Workflow
from service.domain.states import DeliveryState, FireState, Outcome, PreviewState, RunState, SyncState
from service.store import (
    Store,
    deliveries,
    new_id,
    notifications,
    previews,
    projects,
    repositories,
    revisions,
    runs,
    schedules,
    syncs,
)
from service.store.deliveries import Delivery
from service.store.notifications import Notification
from service.store.previews import Preview
from service.store.runs import Run
from service.store.schedules import Fire
from service.store.syncs import Sync

COMMIT = "a" * 40
MAIN = "refs/heads/main"


@dataclass(frozen=True)
class Story:
    """Ids of what `tell` wrote."""

    delivery: str
    sync: str
    run: str
    schedule: str
    notification: str
    preview: str


def tell(store: Store, project: str = "fraud", repository: str = "fraud") -> Story:
    """A push was delivered and synced; its run is running, its schedule in force, its notification sent."""
    return store.write(lambda conn: _tell(conn, store.now(), project, repository))


def _tell(conn: Connection, now: float, project: str, repository: str) -> Story:
    story = Story(new_id(), new_id(), new_id(), "", new_id(), new_id())
    plan = Plan(
        project=project, ref=MAIN, commit=COMMIT, cause=Cause.PUSH, revision="r1", save=True, puts_in_force=True
    )
    repositories.record_fetch(conn, repository, url="https://git.example.com/x", default_branch="main", now=now)
    repositories.set_tip(conn, repository, MAIN, COMMIT, now=now)
    deliveries.add(
        conn,
        Delivery(
            id=story.delivery,
            hook=repository,
            forge="github",
            received_at=now - 1,
            state=DeliveryState.ACCEPTED,
            repository=repository,
            ref=MAIN,
            after=COMMIT,
            headers={"x-github-event": "push"},
        ),
    )
    deliveries.set_outcome(conn, story.delivery, Outcome.SYNCED, "it is the tip", now=now)
    projects.claim_name(conn, project, repository=repository, path=".", ref=MAIN, now=now)
    syncs.add(
        conn,
        Sync(
            id=story.sync,
            project=project,
            repository=repository,
            ref=MAIN,
            commit=COMMIT,
            seq=projects.next_seq(conn, project),
            cause=Cause.PUSH,
            declaration=Declaration(),
            subject="Better model",
            author="Ada",
            created_at=now,
        ),
    )
    syncs.start(conn, story.sync, base=None, now=now)
    resolved = Resolved(
        name=project, project={"metadata": {"name": project}}, workflows={"main": Workflow(name="main", engine="local")}
    )
    revisions.put(conn, project=project, revision="r1", commit=COMMIT, resolved=resolved, now=now)
    syncs.transition(conn, story.sync, SyncState.SUCCEEDED, now=now, revision="r1", plan=plan, reason="done")
    projects.put_in_force(conn, project, revision="r1", sync=story.sync, commit=COMMIT)
    runs.add(conn, a_run(story.run, project, repository, now, sync=story.sync))
    runs.transition(conn, story.run, RunState.RUNNING, expected=[RunState.QUEUED], now=now)
    runs.add_events(
        conn,
        story.run,
        [{"event": "claimed", "at": "2026-01-02T03:04:05Z", "pid": 7}, {"event": "started"}],
        since=0,
        position=100,
        now=now,
    )
    spec = ScheduleSpec(name="nightly", workflow="main", cron="0 2 * * *")
    schedule = schedules.put(conn, project, spec, next_due=now + 60, now=now, sync=story.sync)
    schedules.add_fire(conn, Fire(schedule=schedule.id, due=now - 60, state=FireState.FIRED, at=now, run=story.run))
    notifications.add(
        conn,
        Notification(
            id=story.notification,
            handler="console",
            event=Topic.RUN_STARTED,
            key=f"run.started/{story.run}",
            message={"title": "main started", "event": "run.started"},
            created_at=now,
            project=project,
            run=story.run,
        ),
    )
    previews.add(conn, Preview(id=story.preview, project=project, asked="main", created_at=now))
    previews.end(conn, story.preview, PreviewState.SUCCEEDED, now=now, ref=MAIN, commit=COMMIT, plan=plan)
    return Story(story.delivery, story.sync, story.run, schedule.id, story.notification, story.preview)


def a_run(run: str, project: str, repository: str, now: float, **also: Any) -> Run:
    return Run(
        id=run,
        project=project,
        repository=repository,
        workflow="main",
        ref=MAIN,
        commit=COMMIT,
        revision="r1",
        launcher="process",
        image="docker.io/mlrun/mlrun-kfp:1.9.2",
        mlrun_version="1.9.2",
        timeout_s=60.0,
        created_at=now,
        arguments={"rows": 5},
        **also,
    )
