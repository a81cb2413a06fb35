"""News for people, from rows to messages. Written in the caller's transaction: what happened and its news are one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Connection

from service.domain import links, messages
from service.domain.events import Topic
from service.domain.messages import CommitFacts, RunFacts, Where
from service.domain.planned import PlannedWrite, ScheduleSpec
from service.domain.projects import NotifyRule
from service.domain.states import ENDED_RUNS, DeliveryState
from service.domain.steps import Step, steps_of
from service.errors import GitopsError
from service.notifier import Notifier
from service.reconciler.rooms import Rooms
from service.store import deliveries, projects, runs, syncs
from service.store.deliveries import Delivery
from service.store.projects import Project
from service.store.runs import Run
from service.store.schedules import Schedule
from service.store.syncs import Sync


def of_sync(rooms: Rooms, conn: Connection, topic: Topic, sync: Sync) -> None:
    content = messages.of_sync(
        topic, _where_of(rooms, sync), sync=sync.id, reason=sync.reason, revision=sync.revision, error=sync.error
    )
    rooms.notifier.announce(conn, content, rules=sync.declaration.notify, sync=sync.id)


def of_drift(
    rooms: Rooms, conn: Connection, topic: Topic, sync: Sync, writes: Iterable[PlannedWrite], *, occurrence: str
) -> None:
    """What somebody changed in MLRun, as the writes that put it right know it; nothing where that is nothing."""
    paths = [path for write in writes for path in write.drifted]
    if paths:
        content = messages.of_drift(topic, _where_of(rooms, sync), occurrence=occurrence, paths=paths)
        rooms.notifier.announce(conn, content, rules=sync.declaration.notify, sync=sync.id)


def of_repository(
    rooms: Rooms, conn: Connection, topic: Topic, repository: str, error: GitopsError, *, occurrence: str
) -> None:
    """A repository that can't be fetched or understood, before any project of it is known."""
    content = messages.of_sync(
        topic, Where(repository=repository), sync=f"{repository}/{occurrence}", error=syncs.failure(error)
    )
    rooms.notifier.announce(conn, content)


def of_run(rooms: Rooms, conn: Connection, topic: Topic, run: Run, *, log_tail: str = "") -> None:
    facts = RunFacts(
        id=run.id,
        workflow=run.workflow,
        state=run.state,
        reason=run.reason,
        started_at=run.started_at,
        ended_at=run.ended_at,
        results=run.results,
        error=run.error,
        steps=_steps(conn, run),
        log_tail=log_tail,
    )
    sync = _sync_of(conn, run)
    told = sync if sync and sync.commit == run.commit else None
    pushed = sync.base if sync and sync.id == run.sync else None
    where = Where(
        project=run.project,
        repository=run.repository,
        ref=run.ref,
        commit=_commit(rooms, run.repository, run.commit, told),
        links={
            **_links(rooms, run=f"runs/{run.id}", log=f"runs/{run.id}/log"),
            **_forge_links(rooms, run.repository, run.commit, pushed),
        },
    )
    rules = sync.declaration.notify if sync else ()
    rooms.notifier.announce(conn, messages.of_run(topic, where, facts), rules=rules, run=run.id)


def of_schedule(
    rooms: Rooms,
    conn: Connection,
    topic: Topic,
    project: Project,
    name: str,
    *,
    before: ScheduleSpec | None = None,
    after: ScheduleSpec | None = None,
    reason: str = "",
    sync: Sync | None = None,
) -> None:
    where = (
        _where_of(rooms, sync) if sync else Where(project=project.name, repository=project.repository, ref=project.ref)
    )
    occurrence = sync.id if sync else f"{project.ref}/{int(rooms.store.now())}"
    content = messages.of_schedule(
        topic, where, name=name, occurrence=occurrence, before=before, after=after, reason=reason
    )
    rooms.notifier.announce(conn, content, rules=_rules(conn, project))


def of_missed(rooms: Rooms, conn: Connection, project: Project, schedule: Schedule, due: list[float]) -> None:
    where = Where(project=project.name, repository=project.repository, ref=project.ref)
    times = [datetime.fromtimestamp(one, UTC).isoformat(timespec="seconds") for one in due]
    content = messages.of_missed(where, name=schedule.name, schedule=schedule.id, due=times)
    rooms.notifier.announce(conn, content, rules=_rules(conn, project))


def _steps(conn: Connection, run: Run) -> tuple[Step, ...]:
    if run.started_at is None:
        return ()
    return steps_of(runs.step_events(conn, run.id), ended=run.state in ENDED_RUNS)


def _links(rooms: Rooms, **paths: str) -> dict[str, str]:
    """Where people can look; nowhere, as long as the operator has not said how they reach the service."""
    base = rooms.settings.server.public_url
    return {name: f"{base.rstrip('/')}/api/v1/{path}" for name, path in paths.items()} if base else {}


def _commit(rooms: Rooms, repository: str, sha: str, sync: Sync | None) -> CommitFacts:
    """A commit with its page; `sync`, where there is one of it, knows who wrote it."""
    url = _forge_links(rooms, repository, sha, None).get("commit")
    return CommitFacts(sha=sha, author=sync.author if sync else None, subject=sync.subject if sync else None, url=url)


def _forge_links(rooms: Rooms, repository: str, sha: str, base: str | None) -> dict[str, str]:
    """The forge's pages of a commit, and of what changed since `base`."""
    known = rooms.repository(repository)
    if known is None:
        return {}
    pages = {
        "commit": links.commit_url(known.forge, known.url, sha),
        "diff": links.diff_url(known.forge, known.url, base, sha),
    }
    return {name: url for name, url in pages.items() if url}


def _where_of(rooms: Rooms, sync: Sync) -> Where:
    return Where(
        project=sync.project,
        repository=sync.repository,
        ref=sync.ref,
        commit=_commit(rooms, sync.repository, sync.commit, sync),
        links={
            **_links(rooms, sync=f"syncs/{sync.id}"),
            **_forge_links(rooms, sync.repository, sync.commit, sync.base),
        },
    )


def _sync_of(conn: Connection, run: Run) -> Sync | None:
    """The sync that planned the run, or whose configuration is in force."""
    if run.sync:
        return syncs.find(conn, run.sync)
    project = projects.find(conn, run.project)
    return syncs.find(conn, project.in_force_sync) if project and project.in_force_sync else None


def _rules(conn: Connection, project: Project) -> tuple[NotifyRule, ...]:
    sync = syncs.find(conn, project.in_force_sync) if project.in_force_sync else None
    return sync.declaration.notify if sync else ()


def of_rejection(notifier: Notifier, conn: Connection, delivery: Delivery) -> None:
    """A delivery that was refused; the same trouble is told once between two accepted deliveries of the hook."""
    accepted, _ = deliveries.page(conn, hook=delivery.hook, state=DeliveryState.ACCEPTED, limit=1)
    content = messages.of_delivery(
        Where(repository=delivery.repository),
        hook=delivery.hook,
        reason=delivery.reason,
        episode=accepted[0].id if accepted else "",
    )
    notifier.announce(conn, content)
