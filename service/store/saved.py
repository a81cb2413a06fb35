"""What was last saved into MLRun for each project, as it was read back: what the next save and drift are compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection, delete

from service.domain.drift import Kept, Saved
from service.domain.planned import WriteKind
from service.store import unfinished
from service.store.mlrun_models import saved as table
from service.store.sql import Rows
from service.store.unfinished import Unfinished


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """`revision` is the one that was saved, `commit` the one whose files MLRun was told to take."""

    project: str
    revision: str
    commit: str
    saved: Saved
    at: float


_rows = Rows(table, Save, json=["saved"])


def put(connection: Connection, save: Save) -> None:
    """In the place of the project's last one."""
    _rows.put(
        connection,
        {"project": save.project},
        revision=save.revision,
        commit=save.commit,
        saved=save.saved,
        at=save.at,
    )


def find(connection: Connection, project: str) -> Save | None:
    return _rows.find(connection, project=project)


def leave(connection: Connection, project: str) -> bool:
    """The name was given up: what fires there is to be removed, also what a save that did not end began. Whether there may be anything."""
    last, begun = find(connection, project), unfinished.find(connection, project)
    unfinished.forget(connection, project)
    if begun is not None:
        last = _with(last, begun)
    if last is not None:
        put(connection, replace(last, saved=replace(last.saved, left=True)))
    return last is not None


def forget(connection: Connection, project: str) -> None:
    """Nothing of it is ours any more: who has the name next compares with nothing, and removes nothing."""
    unfinished.forget(connection, project)
    connection.execute(delete(table).where(table.c.project == project))


def _with(last: Save | None, begun: Unfinished) -> Save | None:
    """With the schedules that it was to write, in the same MLRun."""
    fired = {one.name for one in begun.writes if one.kind is WriteKind.SCHEDULE}
    if last is not None and last.saved.api == begun.api:
        fired |= set(last.saved.workflows)
    elif last is not None or not fired:
        return last
    else:
        nothing = Saved(source="", project=Kept(wanted="", read={}), api=begun.api)
        last = Save(project=begun.project, revision="", commit=begun.commit, saved=nothing, at=begun.at)
    return replace(last, saved=replace(last.saved, workflows=tuple(sorted(fired))))
