"""Who looks at the clock: of all replicas one, as long as it has the lease on this work.

It is work without an end. Whoever claims it shows APScheduler what the store has, and asks for what is overdue; another one does
so as soon as the lease is free. Two that do it at once, since the one was asleep and does not know yet, do no harm: a fire is one row.
"""

from __future__ import annotations

from functools import partial

import structlog

from service.errors import LeaseLost, StoreUnavailable
from service.faults import wall_clock
from service.reconciler.dispatcher import Held
from service.reconciler.rooms import Rooms
from service.scheduler import Clock, Due
from service.store import schedules, work

log = structlog.get_logger(__name__)

KIND = KEY = "clock"
# How often the schedules in the store are compared with the clock on the wall and with APScheduler's view.
_RESYNC_S = 5.0


def step(rooms: Rooms, held: Held) -> float | None:
    """Until the service stops; then the next one begins at once."""
    clock = Clock(partial(_want_fire, rooms))
    clock.start()
    log.info("this process keeps the clock of all schedules")
    try:
        while not rooms.stopping.is_set():
            rooms.schedules_changed.clear()
            try:
                held.check()
                _look(rooms, clock)
            except (LeaseLost, StoreUnavailable):
                raise
            except Exception:  # whatever it was, the schedules are looked at again: one that gave up would fire none
                log.exception("the schedules could not be looked at")
            rooms.schedules_changed.wait(_RESYNC_S)
    finally:
        clock.stop()
    return rooms.store.now()


def _look(rooms: Rooms, clock: Clock) -> None:
    """APScheduler sees what the store has; due times it slept through are fired all the same."""
    with rooms.store.read() as conn:
        active = schedules.all_active(conn)
        overdue = schedules.due(conn, now=wall_clock())
    for schedule in overdue:
        _want_fire(rooms, schedule.id)
    clock.show(Due(one.id, one.cron, one.timezone) for one in active)


def _want_fire(rooms: Rooms, schedule: str) -> None:
    now = rooms.store.now()
    rooms.store.write(lambda conn: work.want(conn, "fire", schedule, now=now))
