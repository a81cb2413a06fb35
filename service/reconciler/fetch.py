"""One fetch of a repository: which refs moved, and what became of the deliveries that hinted at it."""

from __future__ import annotations

from collections.abc import Collection

import structlog
from sqlalchemy import Connection

from service import limits
from service.domain.events import Topic
from service.domain.states import Outcome
from service.errors import SourceError
from service.reconciler import news
from service.reconciler.bind import Moved, take_in, unbind_ref
from service.reconciler.dispatcher import Held
from service.reconciler.rooms import Rooms
from service.settings import Repository
from service.source import Tips
from service.store import deliveries, repositories
from service.store.deliveries import Delivery

log = structlog.get_logger(__name__)

# A ref is gone when two reads this far apart both miss it and both show others.
REF_GONE_AFTER_S = 60.0


def step(rooms: Rooms, held: Held) -> float | None:
    hinted_before = {hint.id for hint in _open(rooms, held.key)}
    repository = rooms.repository(held.key)
    if repository is None:
        reason = "the repository is not in the settings any more"
        rooms.store.write(lambda conn: _answer_all(rooms, conn, held.key, hinted_before, Outcome.IGNORED, reason))
        return None
    try:
        tips = rooms.source.fetch(repository)
    except SourceError as error:
        _record_failure(rooms, repository, error, attempt=held.claim.attempts + 1, hinted=hinted_before)
        if error.retry:
            raise
        return None
    held.check()
    hints = _open(rooms, repository.name)
    with rooms.store.read() as conn:
        known = repositories.tips(conn, repository.name)
    gone = [hint for hint in hints if hint.id in hinted_before and hint.ref not in tips.refs]
    rooms.store.write(lambda conn: _record_success(rooms, conn, repository, tips, gone))
    for ref, tip in tips.refs.items():
        mine = tuple(hint for hint in hints if hint.ref == ref and (hint.id in hinted_before or hint.after == tip))
        if mine or known.get(ref) != tip:
            take_in(rooms, repository, tips, Moved(ref, tip, mine))
    return _follow_missing(rooms, repository, tips, known)


def _open(rooms: Rooms, repository: str) -> list[Delivery]:
    with rooms.store.read() as conn:
        return deliveries.open_for(conn, repository)


def _record_success(rooms: Rooms, conn: Connection, repository: Repository, tips: Tips, gone: list[Delivery]) -> None:
    now = rooms.store.now()
    repositories.record_fetch(conn, repository.name, url=repository.url, default_branch=tips.default_branch, now=now)
    for hint in gone:
        reason = f"{hint.ref} is deleted" if hint.after is None else f"the repository has no {hint.ref}"
        deliveries.set_outcome(conn, hint.id, Outcome.DELETED, reason, now=now)


def _record_failure(
    rooms: Rooms, repository: Repository, error: SourceError, *, attempt: int, hinted: Collection[str]
) -> None:
    """The repository shows the error at once; deliveries wait for a few more attempts before they are told.

    Only those that were there before this fetch began: a later one is answered by the fetch that it asked for.
    """
    final = not error.retry or attempt >= limits.FETCH_ATTEMPTS

    def change(conn: Connection) -> None:
        now = rooms.store.now()
        first = repositories.record_error(conn, repository.name, url=repository.url, error=str(error), now=now)
        if final:
            _answer_all(rooms, conn, repository.name, hinted, Outcome.FAILED, str(error))
        if first:
            news.of_repository(rooms, conn, Topic.SYNC_FAILED, repository.name, error, occurrence=str(int(now)))

    rooms.store.write(change)


def _answer_all(
    rooms: Rooms, conn: Connection, repository: str, hinted: Collection[str], outcome: Outcome, reason: str
) -> None:
    for hint in deliveries.open_for(conn, repository):
        if hint.id in hinted:
            deliveries.set_outcome(conn, hint.id, outcome, reason, now=rooms.store.now())


def _follow_missing(rooms: Rooms, repository: Repository, tips: Tips, known: dict[str, str]) -> float | None:
    """Prune what was bound to a ref that two reads missed; an empty answer is never believed."""
    missing = known.keys() - tips.refs.keys()
    if not missing or not tips.refs:
        return None
    now = rooms.store.now()

    def change(conn: Connection) -> bool:
        waiting = False
        for ref in missing:
            since = repositories.mark_missing(conn, repository.name, ref, now=now)
            if now - since >= REF_GONE_AFTER_S:
                unbind_ref(rooms, conn, repository.name, ref)
                repositories.remove_tip(conn, repository.name, ref)
            else:
                waiting = True
        return waiting

    return now + REF_GONE_AFTER_S if rooms.store.write(change) else None
