"""What a run of MLRun's own runner needs besides: where its files come from, and that MLRun has its configuration."""

from __future__ import annotations

from sqlalchemy import Connection

from service.domain import mlrun_requests
from service.errors import LaunchFailed
from service.reconciler.archives import archive_url_of_run
from service.reconciler.resolve import git_source
from service.reconciler.rooms import Rooms
from service.store import projects, saved
from service.store.runs import Run


def source_for_mlrun(rooms: Rooms, conn: Connection, run: Run) -> str:
    """The address of the run's files, which no other run has. Raises LaunchFailed where MLRun would run it by another configuration."""
    project = projects.get(conn, run.project)
    if project.in_force != run.revision:
        failure = LaunchFailed(
            f"the run has revision {run.revision}, and MLRun's runner takes the one that is saved, {project.in_force or 'none'}",
            mend="run the workflow anew, or push the older configuration again",
        )
        failure.retry = False
        raise failure
    last = saved.find(conn, run.project)
    there = last is not None and not last.saved.left and last.saved.api == rooms.mlrun_address
    if last is None or not there or last.revision != run.revision:
        raise LaunchFailed(
            f"MLRun has not been given revision {run.revision} of {run.project} yet",
            mend=f"its sync does that; if it failed, see why, then: mlrun-gitops push {run.repository}",
        )
    repository = rooms.repository(run.repository)
    if rooms.settings.mlrun.source == "git" and repository is not None:
        return mlrun_requests.marked(git_source(repository.url, run.ref), run.id)
    base = rooms.settings.server.internal_url or rooms.settings.server.public_url or ""
    return archive_url_of_run(conn, base, run.project, run.id, run.commit)
