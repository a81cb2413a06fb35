"""What a sync comes to: nothing, or a plan. The one way to it, for a sync that is done and for one that is only shown.

It changes nothing; a load may run, and what it resolved to is kept for whoever asks about the same files next.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from service.domain import triggers
from service.domain.plan import Cause, Inputs, Plan, make_plan
from service.domain.projects import Resolved
from service.domain.triggers import is_tag
from service.domain.writes import Saving
from service.reconciler import handover
from service.reconciler.discover import CommitFiles, policy_of
from service.reconciler.dispatcher import Held
from service.reconciler.images import additions, images_of, said_python
from service.reconciler.load import load
from service.reconciler.rooms import MLRUN, Rooms
from service.reconciler.save import saving
from service.store import image_builds, revisions, schedules, syncs
from service.store.projects import Project
from service.store.syncs import Sync

# Commit messages that are looked at for a skip token.
MESSAGES = 200


@dataclass(frozen=True, slots=True)
class Decided:
    """What to do, the project as it is at the sync's commit, and what decides about MLRun's DB, where there is one."""

    plan: Plan
    resolved: Resolved
    saving: Saving | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to do, for this reason."""

    reason: str


def decide(
    rooms: Rooms, held: Held, project: Project, sync: Sync, timings: dict[str, float] | None = None
) -> Decided | Nothing:
    """`timings` gets the seconds of each stage. Raises what a sync fails by: SourceError, ProjectError, LauncherError,
    MlrunError."""
    timings = {} if timings is None else timings
    with _timed(timings, "diff"):
        changed = rooms.source.changed_paths(sync.repository, sync.base, sync.commit)
        told = sync.cause is Cause.TOLD  # its base is the commit itself
        base, messages = (None, 1) if told else (sync.base, MESSAGES)
        commits = rooms.source.log(sync.repository, base, sync.commit, messages)
    if not is_tag(sync.ref):
        decision = _worth_it(rooms, project, sync, changed)
        if not decision.yes:
            return Nothing(decision.reason)
    launcher = rooms.launcher_for(sync.declaration).name
    images = images_of(rooms.settings, launcher)
    files = CommitFiles(rooms.source, sync.repository, sync.commit)
    added = additions(rooms.settings, launcher, files, sync.declaration, sync.commit)
    with _timed(timings, "load"):
        resolved = load(rooms, held, sync)
    with rooms.store.read() as conn:
        in_force = _in_force(conn, project)
        present = tuple(schedule.spec for schedule in schedules.in_force(conn, project.name))
        built = image_builds.built(conn, sync.project, rooms.mlrun_address) if added else frozenset()
    python = said_python(files, sync.declaration)
    with _timed(timings, "look"):
        target = None if is_tag(sync.ref) else saving(rooms, sync, resolved, images, python)
    inputs = Inputs(
        cause=sync.cause,
        ref=sync.ref,
        commit=sync.commit,
        declaration=sync.declaration,
        resolved=resolved,
        in_force=in_force,
        schedules=present,
        changed_paths=changed,
        messages=tuple(commit.message for commit in commits),
        images=images,
        policy=None if images.in_process else policy_of(rooms.settings),
        python=python,
        saving=target,
        runs_in_mlrun=launcher == MLRUN,
        clock_in_mlrun=rooms.settings.schedules.owner == MLRUN,
        additions=added,
        built=built,
    )
    with _timed(timings, "plan"):
        return Decided(make_plan(inputs), resolved, target)


def _worth_it(rooms: Rooms, project: Project, sync: Sync, changed: tuple[str, ...] | None) -> triggers.Decision:
    """Whether anything that this project is made of moved since its last sync."""
    with rooms.store.read() as conn:
        before = syncs.find(conn, project.in_force_sync) if project.in_force_sync else None
        if handover.is_due(rooms, conn, project):
            return triggers.Decision(True, "the settings name another MLRun, or somebody else who fires schedules")
    return triggers.should_sync(
        sync.declaration,
        cause=sync.cause,
        changed_paths=changed,
        synced_before=before is not None and project.error is None,
        declaration_changed=before is not None and before.declaration != sync.declaration,
    )


def _in_force(conn: Connection, project: Project) -> Resolved | None:
    if project.in_force is None:
        return None
    revision = revisions.find(conn, project.name, project.in_force)
    return revision.resolved if revision else None


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
    finally:
        timings[stage] = round(time.monotonic() - began, 4)
