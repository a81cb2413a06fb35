"""The small steps: looking at a repository from time to time, parsing large bodies, emptying the outbox."""

from __future__ import annotations

from service import limits
from service.errors import GitopsError
from service.reconciler.dispatcher import Held
from service.reconciler.rooms import Rooms
from service.store import work


def poll(rooms: Rooms, held: Held) -> float | None:
    """Find what no webhook told; the poll's own work is never done while the repository wants polling."""
    repository = rooms.repository(held.key)
    if repository is None or not repository.poll:
        if (
            rooms.store.is_shared and held.claim.attempts < limits.ELSEWHERE_ATTEMPTS
        ):  # nothing says since when it is wanted
            raise GitopsError(f"{held.key} is not polled by these settings, but perhaps by another replica's")
        return None
    now = rooms.store.now()
    rooms.store.write(lambda conn: work.want(conn, "fetch", repository.name, now=now))
    return now + repository.poll


def parse(rooms: Rooms, held: Held) -> float | None:
    """A body that was too large to be parsed while the forge waited."""
    return rooms.intake.parse_spooled(held.key)


def notify(rooms: Rooms, held: Held) -> float | None:
    """One handler's queue."""
    return rooms.notifier.deliver(held.key, held.check, held.claim.fence)
