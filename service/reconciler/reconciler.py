"""Starts and stops everything that works in the background."""

from __future__ import annotations

from functools import partial

import structlog
from sqlalchemy import Connection

from service.errors import GitopsError
from service.launchers import Launcher
from service.reconciler import build, clock, elsewhere, fetch, fire, handover, launch, plan, rounds, sync, watch
from service.reconciler.dispatcher import Crew, Dispatcher, Opening, Step, Took
from service.reconciler.images import PROCESS
from service.reconciler.own import give_up_lost
from service.reconciler.rooms import Rooms
from service.store import image_builds, runs, work

log = structlog.get_logger(__name__)

STEPS: dict[str, Step] = {
    "fetch": fetch.step,
    "sync": sync.step,
    "plan": plan.step,
    image_builds.KIND: build.step,
    "launch": launch.step,
    "watch": watch.step,
    "fire": fire.step,
    clock.KIND: clock.step,
    "notify": rounds.notify,
    "poll": rounds.poll,
    "parse": rounds.parse,
}
OPENINGS: dict[str, Opening] = {"sync": sync.begin, "launch": launch.begin}
# Syncs at a time where projects are loaded elsewhere, so that a sync mostly waits.
_SYNCS = 16


def crews(rooms: Rooms) -> tuple[Crew, ...]:
    """Who does what. A load in a process needs a processor of ours; one in a pod needs a thread that waits."""
    elsewhere = any(name != PROCESS for name in rooms.launchers)
    return (
        Crew(("fetch",), 8),  # threads that wait for git: a server that hangs has its one for a minute
        Crew(("sync",), min(_SYNCS, rooms.settings.launcher.concurrency) if elsewhere else 2),
        # Of their own: people who look keep no push waiting, nor one load that hangs the next.
        Crew(("plan",), 2),
        Crew(("launch",), 8 if elsewhere else 2),
        *([Crew((image_builds.KIND,), 2)] if rooms.images is not None else []),
        Crew(("watch",), len(rooms.launchers) + rooms.store.is_shared),  # one to put back those that only others know
        Crew((clock.KIND,), 1),  # which the one that has it never puts down
        Crew(("fire", "poll", "parse"), 1),
        Crew(("notify",), 4),
    )


class Reconciler:
    def __init__(self, rooms: Rooms, took: Took = lambda _kind, _seconds: None) -> None:
        self._rooms = rooms
        self._dispatcher = Dispatcher(rooms, STEPS, crews(rooms), took, OPENINGS)

    def start(self) -> None:
        """Ask for everything that a crash may have cut off, then work."""
        if self._rooms.place:
            self._dispatcher.check_place()
        self._rooms.store.write(self._pick_up)
        for launcher in self._rooms.launchers.values():
            self._dispatcher.spawn(f"prepare {launcher.name}", partial(self._prepare, launcher))
        self._dispatcher.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        self._dispatcher.stop(timeout_s)
        for launcher in self._rooms.launchers.values():
            launcher.close()

    def _pick_up(self, conn: Connection) -> None:
        rooms, now = self._rooms, self._rooms.store.now()
        give_up_lost(rooms, conn)
        handover.ask_for_all(rooms, conn)
        work.want(conn, clock.KIND, clock.KEY, now=now)
        for repository in rooms.settings.repositories:
            if repository.poll:
                work.want(conn, "poll", repository.name, now=now)
        for launcher in rooms.launchers:
            if runs.count_active(conn, launcher):
                work.want(conn, "watch", launcher, now=now)
        elsewhere.look_after(rooms, conn)

    def _prepare(self, launcher: Launcher) -> None:
        """What the first job would wait for. A failure is the first job's to tell."""
        try:
            launcher.prepare()
        except GitopsError as error:
            if not self._rooms.stopping.is_set():
                log.warning(
                    "a launcher could not be prepared", launcher=launcher.name, error=str(error), detail=error.detail
                )
