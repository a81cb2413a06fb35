"""Which project a name is: who may have it, who moves, who gives it up.

A name belongs to one (repository, path, ref). What a ref's tip declares is settled as a whole before any of it is
touched: a project that moved to another folder, or two that swapped theirs, keep what is in force and their schedules;
one whose new name is refused keeps its old one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sqlalchemy import Connection

from service.domain.events import Topic
from service.domain.triggers import is_tag
from service.errors import NameTaken
from service.reconciler import news
from service.reconciler.discover import Declared
from service.reconciler.rooms import Rooms
from service.settings import Repository
from service.store import projects, repositories, saved, schedules, syncs, work
from service.store.projects import Project


@dataclass(frozen=True, slots=True)
class Settled:
    """Names of what is declared: whose project is there now, and who was refused. `freed`: a name was given up."""

    owned: dict[str, Project]
    refused: dict[str, NameTaken]
    freed: bool = False


def settle(
    rooms: Rooms, conn: Connection, repository: Repository, ref: str, found: Collection[Declared], *, now: float
) -> Settled:
    """Bring the names bound to `ref` to what its tip declares."""
    granted, refused = grant(conn, repository, ref, found)
    if is_tag(ref):
        owned = {name: projects.find(conn, name) for name in granted}
        new = [one for name, one in granted.items() if owned[name] is None]
        return Settled({n: p for n, p in owned.items() if p} | _claim(conn, repository.name, ref, new, now), refused)
    kept = {one.declaration.path for one in found} - {one.declaration.path for one in granted.values()}
    freed = False
    for project in projects.for_ref(conn, repository.name, ref):
        if project.name not in granted and project.name not in refused and project.path not in kept:
            named = next((one.name for one in granted.values() if one.declaration.path == project.path), None)
            give_up(rooms, conn, project, reason=_why(ref, named))
            freed = True
    return Settled(_claim(conn, repository.name, ref, granted.values(), now), refused, freed)


def grant(
    conn: Connection, repository: Repository, ref: str, found: Collection[Declared]
) -> tuple[dict[str, Declared], dict[str, NameTaken]]:
    """Which of the names that `ref`'s tip declares it may have, and why not the others. Changes nothing."""
    refused: dict[str, NameTaken] = {}
    granted: dict[str, Declared] = {}
    for one in found:
        if (error := _refusal(conn, repository, ref, one, granted.values())) is not None:
            refused[one.name] = error
        else:
            granted[one.name] = one
    return granted, refused


def give_up(rooms: Rooms, conn: Connection, project: Project, *, reason: str) -> None:
    """Give the name free and take its schedules out; revisions and runs stay to be read."""
    now = rooms.store.now()
    for schedule in schedules.in_force(conn, project.name):
        schedules.remove(conn, schedule.id, now=now)
        news.of_schedule(
            rooms, conn, Topic.SCHEDULE_REMOVED, project, schedule.name, before=schedule.spec, reason=reason
        )
    syncs.supersede_open(conn, project.name, reason=reason, now=now)
    projects.release(conn, project.name)
    if rooms.target is None:
        saved.forget(conn, project.name)
    elif saved.leave(conn, project.name):
        work.want(conn, "sync", project.name, now=now)  # which nobody else does meanwhile, whoever has the name by then
    for other in repositories.all(conn):
        if other.error and other.name != project.repository:  # it may have been refused this very name
            work.want(conn, "fetch", other.name, now=now)


def give_up_lost(rooms: Rooms, conn: Connection) -> None:
    """What repositories that are not in the settings any more left behind; nothing is known of their refs then."""
    for known in repositories.all(conn):
        if rooms.repository(known.name) is not None:
            continue
        for project in projects.for_repository(conn, known.name):
            give_up(rooms, conn, project, reason=f"{known.name} is not in the settings any more")
        for ref in repositories.tips(conn, known.name):
            repositories.remove_tip(conn, known.name, ref)


def _why(ref: str, named: str | None) -> str:
    return f"the project is named {named} now" if named else f"{ref} no longer declares it"


def _refusal(
    conn: Connection, repository: Repository, ref: str, one: Declared, granted: Collection[Declared]
) -> NameTaken | None:
    if not any(fnmatchcase(one.name, pattern) for pattern in repository.projects):
        return NameTaken(
            f"{repository.name} may not own a project named {one.name}",
            mend=f"allow it in repositories[{repository.name}].projects, or rename the project",
        )
    path = one.declaration.path
    if (double := next((other.name for other in granted if other.declaration.path == path), None)) is not None:
        return NameTaken(
            f"{repository.name}, path {path!r}, {ref} is the project {double!r} already; it cannot be {one.name!r} too",
            mend="give the entries of .gitops.yaml refs that do not overlap, or different paths",
        )
    owner = projects.find(conn, one.name)
    if owner is None or (
        owner.repository == repository.name and (owner.ref == ref or is_tag(ref) or is_tag(owner.ref))
    ):
        return None
    return NameTaken(
        f"the project name {one.name!r} belongs to {owner.repository}, path {owner.path!r}, {owner.ref};"
        f" {repository.name}, path {path!r}, {ref} cannot have it too",
        mend="give one of the two another name; one project for several refs needs {ref} in its name",
    )


def _claim(
    conn: Connection, repository: str, ref: str, granted: Collection[Declared], now: float
) -> dict[str, Project]:
    """The rows, made at first sight. Those that move let go of their places before any takes its new one."""
    moving: dict[str, Project] = {}
    for one in granted:
        owner = projects.find(conn, one.name)
        if owner is not None and (owner.path, owner.ref) != (one.declaration.path, ref):
            moving[one.name] = owner
            projects.release(conn, one.name)
    owned: dict[str, Project] = {}
    for one in granted:
        before = moving.get(one.name)
        since = before.created_at if before else now
        projects.claim_name(conn, one.name, repository=repository, path=one.declaration.path, ref=ref, now=since)
        if before is not None:
            _give_back(conn, before)
        owned[one.name] = projects.get(conn, one.name)
    return owned


def _give_back(conn: Connection, before: Project) -> None:
    """What the project had at its old place."""
    name = before.name
    if before.in_force is not None:
        projects.put_in_force(
            conn, name, revision=before.in_force, sync=before.in_force_sync, commit=before.synced_commit
        )
    projects.suspend(conn, name, suspended=before.suspended)
    projects.pin(conn, name, before.pinned)
    projects.record_error(conn, name, before.error)
