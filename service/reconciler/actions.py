"""What people ask for by the API, turned into rows and work. Fills `web.api`'s seam `Actions`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection

from handlers import Rejected, Undelivered
from service import limits
from service.domain.projects import Declaration
from service.domain.states import ENDED_RUNS, DeliveryState, PreviewState, RunState
from service.errors import Conflict, DeliveryError, Malformed, NotFound
from service.launchers import Life, LogChunk
from service.notifier import a_test_message
from service.reconciler.bind import ASKED
from service.reconciler.declared import declared_by
from service.reconciler.end_run import end_run
from service.reconciler.images import additions_of, runner_image
from service.reconciler.queue_run import queue_run
from service.reconciler.rooms import Rooms
from service.reconciler.save import drift_of
from service.store import deliveries, new_id, previews, projects, repositories, revisions, runs, syncs, work
from service.store.deliveries import Delivery
from service.store.previews import Preview
from service.store.runs import Run

T = TypeVar("T")

_LOG_LOOK_S = 0.1


class Actions:
    """See service/web/api/actions.py for what each does."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def sync_repository(self, name: str, ref: str | None) -> str:
        if self._rooms.repository(name) is None:
            raise NotFound(f"there is no repository {name!r}", mend="it must stand in the settings")
        return self._write(lambda conn: self._ask(conn, name, self._refs(conn, name, ref)))

    def sync_project(self, name: str) -> str:
        def change(conn: Connection) -> str:
            project = projects.get(conn, name)
            return self._ask(conn, project.repository, [project.ref])

        return self._write(change)

    def plan(self, project: str, ref: str | None) -> str:
        def change(conn: Connection) -> str:
            now = self._rooms.store.now()
            projects.get(conn, project)
            waiting = previews.open_of(conn, project)
            for one in waiting:
                if one.asked == ref and one.state == PreviewState.QUEUED:
                    return one.id
            if len(waiting) >= limits.PREVIEWS_OPEN:
                raise Conflict(f"{len(waiting)} plans of {project} are not made yet", mend="ask again when some are")
            asked = Preview(id=new_id(), project=project, asked=ref, created_at=now)
            previews.prune(conn, project, now=now)
            previews.add(conn, asked)
            work.want(conn, previews.KIND, asked.id, now=now)
            return asked.id

        return self._write(change)

    def drift(self, project: str) -> Mapping[str, Any]:
        last, begun, found = drift_of(self._rooms, project)
        plain = {name: getattr(last, name) for name in ("project", "revision", "commit")}
        unfinished = begun.commit if begun else None
        return {**plain, "saved_at": last.at, "unfinished": unfinished, "differences": msgspec.to_builtins(found)}

    def run(self, project: str, workflow: str, arguments: Mapping[str, Any], request: str) -> str:
        def change(conn: Connection) -> str:
            owner = projects.get(conn, project)
            if owner.in_force is None or owner.in_force_sync is None:
                raise Conflict(f"no revision of {project} is in force yet", mend="push, or sync the project, first")
            resolved = revisions.get(conn, project, owner.in_force).resolved
            if workflow not in resolved.workflows:
                known = ", ".join(sorted(resolved.workflows))
                raise NotFound(f"{project} has no workflow {workflow!r}", mend=f"it has: {known}")
            sync = syncs.get(conn, owner.in_force_sync)
            launcher = self._rooms.launcher_for(sync.declaration).name
            asked = Run(
                id=new_id(),
                project=project,
                repository=owner.repository,
                workflow=workflow,
                request=request,
                declared_by=sync.id,
                ref=sync.ref,
                commit=sync.commit,
                revision=owner.in_force,
                arguments=dict(arguments),
                reason="asked for",
                launcher=launcher,
                image=runner_image(
                    self._rooms.settings, launcher, sync.declaration, resolved, workflow, additions_of(sync)
                ),
                mlrun_version=self._rooms.settings.mlrun.version,
                timeout_s=sync.declaration.runner.timeout_s or self._rooms.settings.launcher.run_timeout,
                created_at=self._rooms.store.now(),
            )
            return queue_run(self._rooms, conn, asked).id

        return self._write(change)

    def retry(self, run: str) -> str:
        def change(conn: Connection) -> str:
            old = runs.get(conn, run)
            if old.state not in ENDED_RUNS:
                raise Conflict(f"run {run} is {old.state}", mend="cancel it first, or wait for its end")
            settings = self._rooms.settings
            revision = revisions.get(conn, old.project, old.revision)
            declared = declared_by(conn, old)
            declaration = declared.declaration if declared else Declaration()
            launcher = self._rooms.launcher_for(declaration).name
            again = Run(  # the same commit and configuration, on the MLRun that the service has now
                id=new_id(),
                project=old.project,
                repository=old.repository,
                workflow=old.workflow,
                request=f"retry-{new_id()}",
                retry_of=old.id,
                declared_by=old.declared_by or old.sync,
                ref=old.ref,
                commit=old.commit,
                revision=old.revision,
                arguments=old.arguments,
                concurrency=old.concurrency,
                reason=f"retry of {old.id}",
                launcher=launcher,
                image=runner_image(
                    settings, launcher, declaration, revision.resolved, old.workflow, additions_of(declared)
                ),
                mlrun_version=settings.mlrun.version,
                timeout_s=old.timeout_s,
                created_at=self._rooms.store.now(),
            )
            return queue_run(self._rooms, conn, again).id

        return self._write(change)

    def cancel(self, run: str) -> None:
        def change(conn: Connection) -> None:
            open_run = runs.request_cancel(conn, run)
            if open_run is None:
                raise Conflict(
                    f"run {run} is {runs.get(conn, run).state}", mend="it has ended; nothing is to be cancelled"
                )
            if open_run.state == RunState.QUEUED:
                end_run(self._rooms, conn, open_run, RunState.CANCELLED, reason="cancelled before it started")

        self._write(change)

    def redeliver(self, delivery: str) -> str:
        def change(conn: Connection) -> str:
            old = deliveries.get(conn, delivery)
            if old.state not in (DeliveryState.ACCEPTED, DeliveryState.DUPLICATE) or old.repository is None:
                raise Conflict(
                    f"delivery {delivery} was {old.state}: {old.reason}", mend="only accepted ones can be handled again"
                )
            return self._ask(conn, old.repository, [old.ref], reason=f"redelivery of {old.id}", after=old.after)

        return self._write(change)

    def resend(self, notification: str) -> None:
        self._write(lambda conn: self._rooms.notifier.resend(conn, notification))

    def test_handler(self, name: str) -> None:
        try:
            self._rooms.notifier.test(name, a_test_message(name))
        except (Undelivered, Rejected) as error:
            raise DeliveryError(f"the test message to {name} did not leave: {error}") from error

    def log(self, run: str, offset: int, wait_s: float) -> LogChunk:
        with self._rooms.store.read() as conn:
            runs.get(conn, run)
        if offset < 0:
            raise Malformed(f"offset {offset} is before the log's beginning", mend="begin at 0")
        deadline = time.monotonic() + wait_s
        while True:
            chunk = self._chunk(run, offset)
            if chunk.text or chunk.complete or time.monotonic() >= deadline:
                return chunk
            self._rooms.stopping.wait(_LOG_LOOK_S)

    def _chunk(self, run: str, offset: int) -> LogChunk:
        """The launcher's; a run that ended without ever having a job has an empty, complete log."""
        with self._rooms.store.read() as conn:
            known = runs.get(conn, run)
        launcher = self._rooms.launcher(known.launcher)
        chunk = launcher.logs(run, offset)
        if chunk.complete or chunk.text or known.state not in ENDED_RUNS:
            return chunk
        # What a pod printed may still be on its way.
        never = launcher.observe({run: known.position}, 0)[0].life is Life.UNKNOWN
        return LogChunk(chunk.text, chunk.next_offset, complete=never)

    def _refs(self, conn: Connection, repository: str, ref: str | None) -> list[str | None]:
        """The refs that somebody asks about: the one named, else all that projects are bound to."""
        if ref is not None:
            return [ref if ref.startswith("refs/") else f"refs/heads/{ref}"]
        bound = sorted({project.ref for project in projects.for_repository(conn, repository)})
        return list(bound) or [self._default_ref(conn, repository)]

    def _default_ref(self, conn: Connection, repository: str) -> str | None:
        known, settings = repositories.find(conn, repository), self._rooms.repository(repository)
        branch = (settings.branch if settings else None) or (known.default_branch if known else None)
        return f"refs/heads/{branch}" if branch else None

    def _ask(
        self,
        conn: Connection,
        repository: str,
        refs: list[str | None],
        *,
        reason: str = "asked for by the API",
        after: str | None = None,
    ) -> str:
        """A delivery of our own for each ref, and a fetch for all; the last one's id."""
        now, made = self._rooms.store.now(), ""
        for ref in refs:
            made = new_id()
            asked = Delivery(
                id=made,
                hook=repository,
                forge=ASKED,
                received_at=now,
                state=DeliveryState.ACCEPTED,
                reason=reason,
                event="sync",
                repository=repository,
                ref=ref,
                after=after,
            )
            deliveries.add(conn, asked)
        work.want(conn, "fetch", repository, now=now)
        return made

    def _write(self, change: Callable[[Connection], T]) -> T:
        return self._rooms.store.write(change)
