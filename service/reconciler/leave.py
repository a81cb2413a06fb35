"""MLRun fires nothing more of a project whose name was given up.

It is done as the project's `sync`, so that whoever has the name next waits for it, or comes first and removes it with a save.
"""

from __future__ import annotations

import structlog

from service.reconciler.dispatcher import Held
from service.reconciler.rooms import MLRUN, Rooms
from service.store import projects, saved

log = structlog.get_logger(__name__)


def leave(rooms: Rooms, held: Held) -> None:
    """Remove what was left behind, if anything was, and forget it. Raises LeaseLost, MlrunError."""
    with rooms.store.read() as conn:
        last, owner = saved.find(conn, held.key), projects.find(conn, held.key)
    if last is None or owner is not None or not last.saved.left:
        return
    if rooms.target is not None and last.saved.api == rooms.mlrun_address:
        rooms.target.leave(held.key, last.saved.workflows, held.check)
    elif last.saved.clock == MLRUN:
        log.warning("an MLRun that is not in the settings any more may still fire", project=held.key)
    held.write(lambda conn: saved.forget(conn, held.key))
