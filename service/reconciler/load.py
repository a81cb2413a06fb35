"""Resolve a commit's project into plain data by a `load` job; the same tree is never loaded twice.

A load runs the project's setup code, so it is a job like a run is, claimed and killable. It changes nothing outside its own
folder and may be repeated: a load that was killed is started anew under the next number.
"""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec
import structlog

from service.domain.projects import Declaration, Resolved, Workflow
from service.errors import LoadFailed
from service.launchers import EndReason, Job, JobKind, Life
from service.reconciler.dispatcher import Held
from service.reconciler.rooms import Rooms
from service.store.syncs import Sync

log = structlog.get_logger(__name__)

# A load that was killed (by the kernel, by hand) is tried this often before the sync fails.
LOAD_ATTEMPTS = 3
_PAUSE_S = 5.0
# What a job says that met a full disk: no fault of the repository's.
_FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))


def load(rooms: Rooms, held: Held, sync: Sync) -> Resolved:
    """The project at the sync's commit. Raises LoadFailed with the user's own traceback in `detail`."""
    key = _key(rooms, sync)
    kept = rooms.settings.data_dir / "loads" / f"{key}.json"
    if (known := _kept(kept)) is not None:
        return known
    for attempt in range(LOAD_ATTEMPTS):
        job = _job(rooms, sync, f"{held.claim.attempts}-{attempt}")
        rooms.launcher.ensure(job)
        try:
            resolved = _resolved(_follow(rooms, held, job.id))
            if resolved is not None:
                _keep(kept, resolved)
        except LoadFailed:
            rooms.launcher.clean(job.id)
            raise
        rooms.launcher.clean(job.id)
        if resolved is not None:
            return resolved
        log.warning("a load was killed", job=job.id)
    raise LoadFailed(
        f"loading {sync.project} was killed {LOAD_ATTEMPTS} times before it ended",
        mend="see the load's log; project_setup.py may use too much memory, or end its own process",
    )


def _key(rooms: Rooms, sync: Sync) -> str:
    """What a load depends on: the files, the runner environment, the parameters. Nothing else."""
    declaration = sync.declaration
    parts = (
        sync.project,
        rooms.source.tree(sync.repository, sync.commit),
        declaration.path,
        declaration.setup_parameters,
        declaration.runner.requirements_file,
        rooms.launcher.fingerprint,
        rooms.settings.mlrun.version,
        _saved_source(rooms, sync),
    )
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]


def _job(rooms: Rooms, sync: Sync, attempt: str) -> Job:
    """`attempt` tells one start from the next: a job that has ended, also by a full disk, never runs again."""
    declaration = sync.declaration
    return Job(
        id=f"load-{sync.id}-{attempt}",
        kind=JobKind.LOAD,
        source=lambda into: rooms.source.checkout(sync.repository, sync.commit, into),
        payload={
            "project": project_document(rooms, sync.project, sync.repository, sync.ref, declaration),
            "setup_parameters": declaration.setup_parameters,
            "check": None,
        },
        timeout_s=rooms.settings.launcher.load_timeout,
        mlrun_version=rooms.settings.mlrun.version,
        requirements_file=declaration.runner.requirements_file,
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
    """The address MLRun users know (`git://host/path#refs/heads/main`), without credentials."""
    known = rooms.repository(repository)
    url = known.url if known else ""
    _, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"git://{authority.rpartition('@')[2]}{slash}{path}#{ref}" if rest else ""


def _saved_source(rooms: Rooms, sync: Sync) -> str:
    return _source_url(rooms, sync.repository, sync.ref)


def _follow(rooms: Rooms, held: Held, job: str) -> dict[str, Any] | None:
    """Wait for the end: the result document, or None when the job vanished without a word."""
    position = 0
    while True:
        held.check()
        rooms.check_not_stopping()
        for news in rooms.launcher.observe({job: position}, _PAUSE_S):
            position = news.position
            for event in news.events:
                if event.get("event") == "finished":
                    return _finished(rooms, job, event)
            if news.ended == EndReason.TIMED_OUT:
                raise LoadFailed(
                    f"loading took longer than {rooms.settings.launcher.load_timeout:.0f} s and was stopped",
                    mend="make project_setup.py quicker, or raise launcher.load_timeout",
                    detail=rooms.launcher.logs(job).text[-4000:],
                )
            if news.life in (Life.GONE, Life.UNKNOWN):
                return None


def _finished(rooms: Rooms, job: str, event: dict[str, Any]) -> dict[str, Any]:
    if event.get("state") == "succeeded":
        return rooms.launcher.result(job)
    error = event.get("error")
    error = error if isinstance(error, dict) else {}
    what = f"{error.get('type', 'Error')}: {error.get('message', 'no message')}"
    full = any(text in what for text in _FULL)
    failure = LoadFailed(
        what,
        mend="free space where the jobs' folder is" if full else "mend it in the repository and push",
        detail=str(error.get("traceback", "")),
    )
    failure.retry = full
    raise failure


def _resolved(result: dict[str, Any] | None) -> Resolved | None:
    if result is None:
        return None
    try:
        workflows = {w["name"]: msgspec.convert(w, Workflow) for w in result.pop("workflows", [])}
        resolved = msgspec.convert({**result, "workflows": msgspec.to_builtins(workflows)}, Resolved)
        msgspec.json.encode(resolved)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise LoadFailed(
            f"what the project resolves to cannot be kept: {type(error).__name__}: {error}",
            mend="use plain text and numbers in project.yaml and project_setup.py",
        ) from error
    return resolved


def _kept(path: Path) -> Resolved | None:
    """What was kept; a file that a power cut spoiled was not."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Resolved)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _keep(path: Path, resolved: Resolved) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    fresh.write_bytes(msgspec.json.encode(resolved))
    fresh.replace(path)
