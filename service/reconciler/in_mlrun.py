"""What a run of MLRun's own runner needs besides: where its files come from, and that MLRun has its configuration."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from service.domain import mlrun_requests
from service.domain.image_build import ImageBuild
from service.errors import LaunchFailed, LaunchHeld
from service.reconciler.archives import archive_url, archive_url_of_run
from service.reconciler.own_image import is_built
from service.reconciler.resolve import git_source
from service.reconciler.rooms import Rooms
from service.store import projects, revisions, runs, saved, syncs, unfinished, work
from service.store.runs import Run


def as_in_force(conn: Connection, run: Run) -> dict[str, Any]:
    """What a fire that waited takes over from a newer revision, by which alone MLRun's runner can run it; nothing where that lacks the workflow."""
    project = projects.find(conn, run.project)
    if not run.schedule or project is None or project.in_force in (None, run.revision) or not project.in_force_sync:
        return {}
    if run.workflow not in revisions.get(conn, project.name, str(project.in_force)).resolved.workflows:
        return {}
    sync = syncs.get(conn, project.in_force_sync)
    return {"revision": str(project.in_force), "commit": sync.commit, "ref": sync.ref, "declared_by": sync.id}


def source_for_mlrun(rooms: Rooms, conn: Connection, run: Run) -> str:
    """The address of the run's files, which no other run has. Raises as `check_saved`."""
    check_saved(conn, run, rooms.mlrun_address)
    if (own := is_built(conn, run)) is not None and own.build.commit == run.commit:
        return mlrun_requests.inside_image(run.id)
    repository = rooms.repository(run.repository)
    if rooms.settings.mlrun.source == "git" and repository is not None:
        return mlrun_requests.marked(git_source(repository.url, run.ref), run.id)
    base = rooms.settings.server.internal_url or rooms.settings.server.public_url or ""
    return archive_url_of_run(conn, base, run.project, run.id, run.commit)


def may_submit(address: str, conn: Connection, run_id: str) -> None:
    """Asked in the transaction from which on a run counts as given to MLRun: no save begins before it ends. Raises as `check_saved`."""
    run = runs.get(conn, run_id)
    work.lock(conn, "sync", run.project)
    check_saved(conn, run, address)


def check_saved(conn: Connection, run: Run, address: str) -> None:
    """Raises LaunchFailed where the MLRun at `address` would run it by another configuration, LaunchHeld where it may have some of
    another one."""
    project = projects.get(conn, run.project)
    if (begun := unfinished.find(conn, run.project, address)) is not None:
        raise LaunchHeld(
            f"it waits: a save of {run.project} at {begun.commit[:12]} into MLRun goes on or did not end, and is done again by its sync"
        )
    if project.in_force != run.revision:
        failure = LaunchFailed(
            f"the run has revision {run.revision}, and MLRun's runner takes the one that is saved, {project.in_force or 'none'}",
            mend="run the workflow anew, or push the older configuration again",
        )
        failure.retry = False
        raise failure
    last = saved.find(conn, run.project)
    there = last is not None and not last.saved.left and last.saved.api == address
    if last is None or not there or last.revision != run.revision:
        raise LaunchFailed(
            f"MLRun has not been given revision {run.revision} of {run.project} yet",
            mend=f"its sync does that; if it failed, see why, then: mlrun-gitops push {run.repository}",
        )


def source_of_build(rooms: Rooms, build: ImageBuild) -> str | None:
    """Where MLRun's builder takes the files of an image from: this very commit. Raises PlanError, NotFound."""
    if build.commit is None:
        return None
    settings = rooms.settings
    with rooms.store.read() as conn:
        project = projects.get(conn, build.project)
    repository = rooms.repository(project.repository)
    if settings.mlrun.source == "git" and repository is not None:
        return f"{git_source(repository.url, project.ref)}#{build.commit}"
    base = settings.server.internal_url or settings.server.public_url or ""
    return archive_url(rooms.store, str(base), build.project, build.commit)
