"""Resolve a commit's project into plain data by a `load` job; the same tree is never loaded twice.

A load runs the project's setup code, so it is a job like a run is, claimed and killable. It changes nothing outside its own
folder and may be repeated: a load that was killed is started anew under the next number.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import structlog

from service.domain import identity
from service.domain.projects import Declaration, Resolved
from service.errors import LauncherError, LoadFailed, StoreUnavailable
from service.launchers import Job, JobKind
from service.reconciler.dispatcher import Held
from service.reconciler.images import load_image
from service.reconciler.resolve import Vanished, git_source, resolve
from service.reconciler.rooms import Rooms
from service.store import new_id
from service.store.syncs import Sync

log = structlog.get_logger(__name__)

# A load that was killed (by the kernel, by hand) is tried this often before the sync fails.
LOAD_ATTEMPTS = 3
# What was kept before results were held against the project that they are of is loaded anew.
_KEPT = 2


def load(rooms: Rooms, held: Held, sync: Sync) -> Resolved:
    """The project at the sync's commit. Raises LoadFailed with the user's own traceback in `detail`.

    Whoever takes the work from us goes on with the same job: it is ended and cleaned up only while the work is ours.
    """
    key = _key(rooms, sync)
    launcher = rooms.loader_for(sync.declaration)
    kept = rooms.settings.data_dir / "loads" / f"{key}.json"
    if (known := _kept(kept, sync.project)) is not None:
        return known
    vanished = Vanished("", "")
    for attempt in range(LOAD_ATTEMPTS):
        job = _job(rooms, sync, f"{held.claim.attempts}-{attempt}")
        try:
            found = resolve(launcher, job, lambda: _go_on(rooms, held))
            if isinstance(found, Resolved) and not found.asked:
                _keep(kept, found)
        except LoadFailed:
            held.renew()
            launcher.clean(job.id)
            raise
        except (LauncherError, StoreUnavailable):
            # What it was told of may be there all the same, in whole or in part, and the next attempt has another name.
            held.renew()
            launcher.cancel(job.id)
            launcher.clean(job.id)
            raise
        held.renew()
        launcher.clean(job.id)
        if isinstance(found, Resolved):
            return found
        vanished = found
        log.warning("a load was killed", job=job.id, why=vanished.why)
    last = f", the last time: {vanished.why}" if vanished.why else ""
    raise LoadFailed(
        f"loading {sync.project} was killed {LOAD_ATTEMPTS} times before it ended{last}",
        mend="see the load's log; project_setup.py may use too much memory, or end its own process",
        detail=vanished.log,
    )


def _key(rooms: Rooms, sync: Sync) -> str:
    """What a load depends on: the files, the runner environment, the parameters, and MLRun's API, whose answers are not kept."""
    declaration = sync.declaration
    launcher = rooms.loader_for(declaration)
    parts = (
        _KEPT,
        sync.project,
        rooms.source.tree(sync.repository, sync.commit),
        declaration.path,
        declaration.setup_parameters,
        declaration.runner.requirements_file,
        launcher.fingerprint,
        load_image(rooms.settings, launcher.name, declaration),
        rooms.settings.mlrun.version,
        str(rooms.settings.mlrun.api or ""),
        _saved_source(rooms, sync),
    )
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]


def _job(rooms: Rooms, sync: Sync, attempt: str) -> Job:
    """`attempt` tells one start from the next: a job that has ended, also by a full disk, never runs again."""
    declaration = sync.declaration
    launcher = rooms.loader_for(declaration)
    image = load_image(rooms.settings, launcher.name, declaration)
    return Job(
        id=f"load-{sync.id}-{attempt}",
        kind=JobKind.LOAD,
        source=lambda into: rooms.source.checkout(sync.repository, sync.commit, into, owner=launcher.owner),
        payload={
            "project": project_document(rooms, sync.project, sync.repository, sync.ref, declaration),
            "setup_parameters": declaration.setup_parameters,
            "check": None,
            "image": image,
        },
        timeout_s=rooms.settings.launcher.load_timeout,
        mlrun_version=rooms.settings.mlrun.version,
        project=sync.project,
        repository=sync.repository,
        commit=sync.commit,
        image=image,
        runner=declaration.runner,
    )


def project_document(rooms: Rooms, project: str, repository: str, ref: str, declaration: Declaration) -> dict[str, Any]:
    """The `project` part of a runner's job document."""
    return {
        "path": declaration.path,
        "name": project,
        "repository_name": repository,
        "source": _source_url(rooms, repository, ref),
    }


def _source_url(rooms: Rooms, repository: str, ref: str) -> str:
    known = rooms.repository(repository)
    return git_source(known.url, ref) if known else ""


def _saved_source(rooms: Rooms, sync: Sync) -> str:
    return _source_url(rooms, sync.repository, sync.ref)


def _go_on(rooms: Rooms, held: Held) -> None:
    held.check()
    rooms.check_not_stopping()


def _kept(path: Path, project: str) -> Resolved | None:
    """What was kept; a file that a power cut spoiled was not, nor one of another project."""
    try:
        return identity.own(msgspec.json.decode(path.read_bytes(), type=Resolved), project)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError, LoadFailed):
        return None


def _keep(path: Path, resolved: Resolved) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_suffix(f".{new_id()}.tmp")  # a plan and a sync may keep the same load at once
    fresh.write_bytes(msgspec.json.encode(resolved))
    fresh.replace(path)
