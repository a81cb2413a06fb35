"""What a sync saves into MLRun, where the operator has one: which documents, compared with what, and the save itself."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from service import limits
from service.domain import drift, mlrun_scheduled
from service.domain.drift import Difference, Saved
from service.domain.events import Topic
from service.domain.images import Images
from service.domain.plan import Plan
from service.domain.planned import PlannedWrite
from service.domain.projects import Resolved
from service.domain.python_version import Said
from service.domain.saving import Documents, documents
from service.domain.writes import Saving
from service.errors import Conflict, PlanError, SaveHeld, SettingsError
from service.reconciler import news
from service.reconciler.archives import archive_url
from service.reconciler.discover import CommitFiles
from service.reconciler.dispatcher import Held
from service.reconciler.images import images_of, said_python
from service.reconciler.resolve import git_source
from service.reconciler.rooms import MLRUN, Rooms
from service.store import jobs, projects, revisions, saved, syncs, unfinished, work
from service.store.saved import Save
from service.store.syncs import Sync
from service.store.unfinished import Unfinished


def saving(rooms: Rooms, sync: Sync, resolved: Resolved, images: Images, python: Said | None) -> Saving | None:
    """What is wanted, what was saved last and what is there; None without an MLRun API. Raises MlrunError, PlanError."""
    if rooms.target is None:
        return None
    with rooms.store.read() as conn:
        last, begun = saved.find(conn, sync.project), unfinished.find(conn, sync.project, rooms.mlrun_address)
    there = rooms.target.look(sync.project)
    if last is not None and last.saved.api != rooms.mlrun_address:
        last = None  # it was saved into another MLRun
    left = last.saved.workflows if last is not None and last.saved.left else ()
    return Saving(
        wanted=_documents(rooms, sync, resolved, images, python),
        there=there,
        saved=last.saved if last is not None and not last.saved.left else None,
        prune=sync.declaration.prune_functions,
        clears_schedules=rooms.settings.schedules.owner == "gitops",
        left=left,
        unfinished=begun.writes if begun is not None else None,
        warnings=_warnings(rooms),
    )


def save(rooms: Rooms, held: Held, sync: Sync, plan: Plan, saving: Saving | None) -> Saved | None:
    """Do what the plan says is to be written into MLRun: what MLRun has then, None where it is not concerned. Raises LeaseLost, MlrunError."""
    if rooms.target is None or saving is None or not plan.puts_in_force:
        return None
    if plan.writes or saving.saved is None:
        result = write(rooms, held, sync, plan.writes, saving)
    else:
        result = replace(saving.saved, workflows=saving.wanted.workflows)
    return replace(result, api=rooms.mlrun_address, clock=rooms.settings.schedules.owner)


def write(rooms: Rooms, held: Held, sync: Sync, writes: tuple[PlannedWrite, ...], saving: Saving) -> Saved:
    """First it is noted what may be written: until the save is recorded, MLRun may have some of it. Who finds later that the project was
    somebody else's when he wrote notes it once more, since he may have written over something newer. From the note on, no run is given to
    MLRun's runner; those that were given to it just before read what is there first. Raises LeaseLost, MlrunError, SaveHeld."""
    assert rooms.target is not None
    begun = Unfinished(
        project=sync.project,
        commit=sync.commit,
        api=rooms.mlrun_address,
        by=held.name,
        writes=writes,
        at=rooms.store.now(),
    )

    def own_up(conn: Connection) -> None:
        unfinished.begin(conn, begun)
        work.want(conn, "sync", sync.project, now=rooms.store.now())

    def begin(conn: Connection) -> list[str]:
        news.of_drift(rooms, conn, Topic.DRIFT_DETECTED, sync, writes, occurrence=sync.id)
        unfinished.begin(conn, begun)
        return jobs.beginning(conn, MLRUN, sync.project, since=rooms.store.now() - limits.MLRUN_BEGINS_S)

    if reading := held.write(begin):
        raise SaveHeld(
            f"the run {reading[0]} of {sync.project} was given to MLRun's runner just now and is to read first"
        )
    held.when_lost(own_up)
    return rooms.target.apply(sync.project, saving.wanted, writes, saving.there, held.check)


def record(rooms: Rooms, conn: Connection, held: Held, sync: Sync, revision: str, result: Saved) -> None:
    """What was saved, in the transaction that puts it in force; and what that put right, also by attempts before."""
    now = rooms.store.now()
    saved.put(conn, Save(project=sync.project, revision=revision, commit=sync.commit, saved=result, at=now))
    if (begun := unfinished.find(conn, sync.project, rooms.mlrun_address)) is not None:
        occurrence = f"{sync.id}/{held.claim.fence}"
        news.of_drift(rooms, conn, Topic.DRIFT_HEALED, sync, begun.writes, occurrence=occurrence)
    unfinished.end(conn, sync.project, held.name)


def drift_of(rooms: Rooms, name: str) -> tuple[Save, Unfinished | None, tuple[Difference, ...]]:
    """What differs now from what was last saved, and a save since that did not end. Raises NotFound, Conflict where nothing was saved,
    MlrunError."""
    with rooms.store.read() as conn:
        project = projects.get(conn, name)
        last, begun = saved.find(conn, name), unfinished.find(conn, name, rooms.mlrun_address)
        revision = revisions.find(conn, name, last.revision) if last else None
        sync = syncs.find(conn, project.in_force_sync) if project.in_force_sync else None
    if rooms.target is None:
        raise Conflict("there is no MLRun API to compare with", mend="set mlrun.api")
    if last is None or last.saved.left or revision is None or sync is None:
        raise Conflict(
            f"nothing of {name} was saved into MLRun yet", mend=f"sync it: mlrun-gitops push {project.repository}"
        )
    images, python = look_up(rooms, replace(sync, commit=last.commit))
    git = _documents(rooms, replace(sync, commit=last.commit), revision.resolved, images, python)
    return last, begun, drift.report(git, last.saved, rooms.target.look(name))


def look_up(rooms: Rooms, sync: Sync) -> tuple[Images, Said | None]:
    """What chooses the images of a sync's functions."""
    images = images_of(rooms.settings, rooms.launcher_for(sync.declaration).name)
    return images, said_python(CommitFiles(rooms.source, sync.repository, sync.commit), sync.declaration)


def _documents(rooms: Rooms, sync: Sync, resolved: Resolved, images: Images, python: Said | None) -> Documents:
    source = _source(rooms, sync)
    made = documents(
        resolved,
        images=images,
        python=images.python(python),
        source=source,
        origin=_origin(rooms, sync),
        path=sync.declaration.path,
    )
    if rooms.settings.schedules.owner != MLRUN:
        return made
    return replace(made, schedules=mlrun_scheduled.requests(sync.declaration, resolved, images, source))


def _source(rooms: Rooms, sync: Sync) -> str:
    """Where MLRun takes the files from: this very commit, or the branch as MLRun's users know it."""
    if rooms.settings.mlrun.source == "git":
        known = rooms.repository(sync.repository)
        if known is None or not (source := git_source(known.url, sync.ref)):
            raise PlanError(
                f"MLRun cannot clone {sync.repository} from the address that the settings have",
                mend="write it as https://host/path, or set mlrun.source to archive",
            )
        return source
    server = rooms.settings.server
    base = server.internal_url or server.public_url
    if base is None:
        raise SettingsError(
            "MLRun is to take files from this service, whose address is not set", mend="set server.internal_url"
        )
    return archive_url(rooms.store, str(base), sync.project, sync.commit)


def _origin(rooms: Rooms, sync: Sync) -> str:
    """The very commit, as MLRun's client notes it with a function: for people, nothing is read from there."""
    known = rooms.repository(sync.repository)
    address = git_source(known.url, "").removeprefix("git://").removesuffix("#") if known else ""
    return f"https://{address}#{sync.commit}" if address else ""


def _warnings(rooms: Rooms) -> tuple[str, ...]:
    if rooms.settings.mlrun.source != "git":
        return ()
    return ("MLRun takes files from the branch (mlrun.source: git): what it runs later may be newer than this commit",)
