"""Schedules in force, and each due time with what became of it.

A removed schedule stays as history; one that comes again under its name is a new row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, or_

from service import limits
from service.domain.plan import ScheduleSpec
from service.domain.projects import CatchUp, Json
from service.domain.states import FireState
from service.store.ids import new_id
from service.store.models import fires as fires_table
from service.store.models import schedules as table
from service.store.sql import Rows, known


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Every due time up to `evaluated_until` has a fire."""

    id: str
    project: str
    name: str
    workflow: str
    cron: str
    timezone: str
    catch_up: CatchUp
    evaluated_until: float
    created_at: float
    changed_at: float
    arguments: Json = field(default_factory=dict)
    next_due: float | None = None
    suspended: bool = False
    removed_at: float | None = None
    sync: str | None = None

    @property
    def spec(self) -> ScheduleSpec:
        return ScheduleSpec(
            name=self.name,
            workflow=self.workflow,
            cron=self.cron,
            timezone=self.timezone,
            catch_up=self.catch_up,
            arguments=self.arguments,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    schedule: str
    due: float
    state: FireState
    at: float
    reason: str = ""
    run: str | None = None


_rows = Rows(table, Schedule, json=["arguments"])
_fires = Rows(fires_table, Fire)


def put(
    connection: Connection,
    project: str,
    spec: ScheduleSpec,
    *,
    next_due: float | None,
    now: float,
    sync: str | None = None,
) -> Schedule:
    """Create the project's schedule of this name, or change the one in force.

    One whose time did not change keeps its place in time: a fire that is due at this moment is not lost.
    """
    there = by_name(connection, project, spec.name)
    if there is None:
        made = Schedule(
            id=new_id(),
            project=project,
            name=spec.name,
            workflow=spec.workflow,
            cron=spec.cron,
            timezone=spec.timezone,
            catch_up=spec.catch_up,
            arguments=spec.arguments,
            evaluated_until=now,
            next_due=next_due,
            created_at=now,
            changed_at=now,
            sync=sync,
        )
        _rows.add(connection, made)
        return made
    same_time = (there.cron, there.timezone) == (spec.cron, spec.timezone)
    _rows.set(
        connection,
        {"id": there.id},
        workflow=spec.workflow,
        cron=spec.cron,
        timezone=spec.timezone,
        catch_up=spec.catch_up,
        arguments=spec.arguments,
        evaluated_until=there.evaluated_until if same_time else now,
        next_due=there.next_due if same_time else next_due,
        changed_at=now,
        sync=sync,
    )
    return get(connection, there.id)


def remove(connection: Connection, schedule_id: str, *, now: float, sync: str | None = None) -> Schedule:
    """No more fires. One that is removed already stays as it is."""
    there = get(connection, schedule_id)
    present = {"id": schedule_id, "removed_at": None}
    _rows.set(connection, present, removed_at=now, next_due=None, changed_at=now, sync=sync or there.sync)
    return get(connection, schedule_id)


def remove_named(
    connection: Connection, project: str, name: str, *, now: float, sync: str | None = None
) -> Schedule | None:
    """The same by name; None when none of that name is in force."""
    there = by_name(connection, project, name)
    return None if there is None else remove(connection, there.id, now=now, sync=sync)


def get(connection: Connection, schedule_id: str) -> Schedule:
    """Raises NotFound."""
    return known(find(connection, schedule_id), f"schedule {schedule_id}")


def find(connection: Connection, schedule_id: str, *, lock: bool = False) -> Schedule | None:
    """`lock` keeps it as it is to the end of the transaction."""
    return _rows.find(connection, lock=lock, id=schedule_id)


def by_name(connection: Connection, project: str, name: str) -> Schedule | None:
    """The one in force."""
    return _rows.find(connection, order="-id", project=project, name=name, removed_at=None)


def in_force(connection: Connection, project: str) -> list[Schedule]:
    """What is not removed, suspended ones too, by name."""
    return _rows.those(connection, "name", project=project, removed_at=None)


def all_active(connection: Connection) -> list[Schedule]:
    """Everything that will fire: neither removed nor suspended."""
    return _rows.those(connection, "id", removed_at=None, suspended=False)


def due(connection: Connection, *, now: float) -> list[Schedule]:
    """Active ones to be looked at, the longest due first: the next due time has come, or the clock was set back."""
    news = or_(table.c.next_due <= now, table.c.evaluated_until > now)
    where = (table.c.removed_at.is_(None), table.c.suspended.is_(False), news)
    return _rows.all(connection, _rows.select().where(*where).order_by(table.c.next_due, table.c.id))


def page(
    connection: Connection,
    *,
    limit: int = limits.PAGE_DEFAULT,
    cursor: str | None = None,
    project: str | None = None,
    workflow: str | None = None,
    name: str | None = None,
    removed: bool = False,
) -> tuple[list[Schedule], str | None]:
    """Newest first; with `removed` the history too."""
    return _rows.page(
        connection,
        limit=limit,
        cursor=cursor,
        where=() if removed else (table.c.removed_at.is_(None),),
        project=project,
        workflow=workflow,
        name=name,
    )


def advance(connection: Connection, schedule_id: str, *, evaluated_until: float, next_due: float | None) -> None:
    """Every due time up to `evaluated_until` is in fires now. Never goes back."""
    where = [table.c.id == schedule_id, table.c.removed_at.is_(None), table.c.evaluated_until <= evaluated_until]
    _rows.set_where(connection, where, evaluated_until=evaluated_until, next_due=next_due)


def turn_back(connection: Connection, schedule_id: str, *, evaluated_until: float, next_due: float | None) -> None:
    """The clock was set back: what is due after `evaluated_until` comes again, and keeps the fire that it has."""
    present = {"id": schedule_id, "removed_at": None}
    _rows.set(connection, present, evaluated_until=evaluated_until, next_due=next_due)


def suspend(connection: Connection, schedule_id: str, *, suspended: bool) -> None:
    _rows.set(connection, {"id": schedule_id}, suspended=suspended)


def add_fire(connection: Connection, fire: Fire) -> bool:
    """False when this due time has its fire already. One that was missed can be fired after all, but not the other way round."""
    if _fires.add(connection, fire):
        return True
    if fire.state is not FireState.FIRED:
        return False
    missed = {"schedule": fire.schedule, "due": fire.due, "state": FireState.MISSED}
    return _fires.set(connection, missed, state=fire.state, at=fire.at, reason=fire.reason, run=fire.run) == 1


def get_fire(connection: Connection, schedule: str, due: float) -> Fire | None:
    return _fires.find(connection, schedule=schedule, due=due)


def page_fires(
    connection: Connection, schedule: str, *, limit: int = limits.PAGE_DEFAULT, cursor: str | None = None
) -> tuple[list[Fire], str | None]:
    """The latest due time first."""
    where: list[Any] = [fires_table.c.schedule == schedule]
    return _fires.page(connection, limit=limit, cursor=cursor, key="due", where=where)
