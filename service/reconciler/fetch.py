"""One fetch of a repository: which refs moved, and what became of the deliveries that hinted at it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from service import limits
from service.domain.events import Topic
from service.domain.refs import HEADS
from service.domain.states import Outcome
from service.errors import LeaseLost, SourceError, Stopping, StoreUnavailable
from service.reconciler import news
from service.reconciler.bind import Moved, take_in, unbind_ref
from service.reconciler.dispatcher import Held
from service.reconciler.rooms import Rooms
from service.settings import Repository
from service.source import Tips
from service.store import deliveries, projects, repositories
from service.store.deliveries import Delivery
from service.store.repositories import Ref

log = structlog.get_logger(__name__)

# A ref is gone when two reads this far apart both miss it and both show others.
REF_GONE_AFTER_S = 60.0
# How many commits below a new tip are looked through for those that webhooks told of during the fetch.
PASSED_OVER = 200


def step(rooms: Rooms, held: Held) -> float | None:
    before = _open(rooms, held.key)
    hinted_before = {hint.id for hint in before}
    repository = rooms.repository(held.key)
    if repository is None:
        at = rooms.store.others_may_know(max((hint.received_at for hint in before), default=0.0))
        if at is not None:
            return at
        reason = "the repository is not in the settings any more"
        held.write(lambda conn: _answer_all(rooms, conn, held.key, hinted_before, Outcome.IGNORED, reason))
        return None
    try:
        tips = rooms.source.fetch(repository)
    except SourceError as error:
        _record_failure(rooms, held, repository, error, hinted=hinted_before)
        if error.retry:
            raise
        return None
    held.check()
    found = _look(rooms, held, repository, tips, hinted_before)
    freed = _take_in(rooms, held, found, sorted(found.concerned(), key=lambda ref: (ref not in found.bound, ref)))
    following = _follow_missing(rooms, held, found)
    if freed or following.freed:
        _take_in(rooms, held, found, _unbound(rooms, found))
    return following.at


@dataclass(frozen=True, slots=True)
class _Found:
    """What a fetch found, beside what was known before it. `default` is the full ref of the repository's own branch."""

    repository: Repository
    tips: Tips
    hints: tuple[Delivery, ...]
    known: dict[str, Ref]
    bound: frozenset[str]
    default: str | None

    def hints_at(self, ref: str) -> tuple[Delivery, ...]:
        return tuple(hint for hint in self.hints if (hint.ref or self.default) == ref)

    def concerned(self) -> set[str]:
        """Refs that are new, moved or hinted at. And where no project is the default branch's, what may have become of it."""
        refs = {r for r, tip in self.tips.refs.items() if r not in self.known or self.known[r].commit != tip}
        refs |= {hint.ref or self.default or "" for hint in self.hints}
        if self.default is not None and self.default not in self.bound:
            refs |= self.bound | {self.default}
        return refs & self.tips.refs.keys()


def _look(rooms: Rooms, held: Held, repository: Repository, tips: Tips, hinted_before: Collection[str]) -> _Found:
    """Record the fetch. A hint that came while it was under way counts if the fetch saw what it tells of."""
    with rooms.store.read() as conn:
        before = repositories.find(conn, repository.name)
        known = repositories.refs(conn, repository.name)
        bound = frozenset(project.ref for project in projects.for_repository(conn, repository.name))
    hints = [
        h
        for h in _open(rooms, repository.name)
        if h.id in hinted_before or _seen(rooms, repository.name, h, tips, known)
    ]
    # A remote whose HEAD names no branch for a while has not lost its own branch by that.
    tips = replace(tips, default_branch=tips.default_branch or (before.default_branch if before else None))
    branch = repository.branch or tips.default_branch
    found = _Found(repository, tips, tuple(hints), known, bound, f"{HEADS}{branch}" if branch else None)
    held.write(lambda conn: _record_success(rooms, conn, found))
    return found


def _seen(rooms: Rooms, repository: str, hint: Delivery, tips: Tips, known: dict[str, Ref]) -> bool:
    """Whether what the hint tells of is the tip that was found, or was passed over on the way to it."""
    tip = tips.refs.get(hint.ref or "")
    if tip is None or hint.ref is None or hint.after is None:
        return False
    before = known[hint.ref].commit if hint.ref in known else None
    if tip in (hint.after, before):
        return tip == hint.after
    passed = rooms.source.log(repository, before, tip, PASSED_OVER)
    return hint.after in {commit.sha for commit in passed}


def _take_in(rooms: Rooms, held: Held, found: _Found, refs: Iterable[str]) -> bool:
    """Each ref by itself: one that fails keeps no other waiting. True when a name was given up."""
    freed, failure = False, None
    for ref in refs:
        try:
            moved = Moved(ref, found.tips.refs[ref], found.hints_at(ref))
            freed = take_in(rooms, held, found.repository, found.tips, moved) or freed
        except (StoreUnavailable, LeaseLost, Stopping):
            raise
        except Exception as error:
            log.exception("a ref could not be taken in", ref=ref)
            failure = failure or error
    if failure is not None:
        raise failure
    return freed


def _unbound(rooms: Rooms, found: _Found) -> list[str]:
    """Branches that nobody is bound to: one of them may have been refused a name that is free now."""
    with rooms.store.read() as conn:
        bound = {project.ref for project in projects.for_repository(conn, found.repository.name)}
    return sorted(ref for ref in found.tips.refs if ref.startswith(HEADS) and ref not in bound)


def _open(rooms: Rooms, repository: str) -> list[Delivery]:
    with rooms.store.read() as conn:
        return deliveries.open_for(conn, repository)


def _record_success(rooms: Rooms, conn: Connection, found: _Found) -> None:
    now, name, tips = rooms.store.now(), found.repository.name, found.tips
    repositories.record_fetch(conn, name, url=found.repository.url, default_branch=tips.default_branch, now=now)
    for ref, before in found.known.items():
        if before.missing_since is not None and ref in tips.refs:
            repositories.set_tip(conn, name, ref, before.commit, now=now)
    for hint in found.hints:
        ref = hint.ref or found.default or ""
        if ref not in tips.refs:
            deleted = hint.ref is not None and hint.after is None
            reason = f"{ref} is deleted" if deleted else f"the repository has no {ref or 'default branch'}"
            deliveries.set_outcome(conn, hint.id, Outcome.DELETED, reason, now=now)


def _record_failure(
    rooms: Rooms, held: Held, repository: Repository, error: SourceError, *, hinted: Collection[str]
) -> None:
    """The repository shows the error at once; deliveries wait for a few more attempts before they are told.

    Only those that were there before this fetch began: a later one is answered by the fetch that it asked for. And only
    those that waited: each delivery asks for a fetch at once, so that many of them make many attempts of a short trouble.
    """
    final = not error.retry or held.claim.attempts + 1 >= limits.FETCH_ATTEMPTS
    waited_s = limits.FETCH_PATIENCE_S if error.retry else 0.0

    def change(conn: Connection) -> None:
        now = rooms.store.now()
        first = repositories.record_error(conn, repository.name, url=repository.url, error=str(error), now=now)
        if final:
            _answer_all(rooms, conn, repository.name, hinted, Outcome.FAILED, str(error), waited_s=waited_s)
        if first:
            news.of_repository(rooms, conn, Topic.SYNC_FAILED, repository.name, error, occurrence=str(int(now)))

    held.write(change)


def _answer_all(
    rooms: Rooms,
    conn: Connection,
    repository: str,
    hinted: Collection[str],
    outcome: Outcome,
    reason: str,
    *,
    waited_s: float = 0.0,
) -> None:
    now = rooms.store.now()
    for hint in deliveries.open_for(conn, repository):
        if hint.id in hinted and now - hint.received_at >= waited_s:
            deliveries.set_outcome(conn, hint.id, outcome, reason, now=now)


@dataclass(frozen=True, slots=True)
class _Following:
    """When to look at missing refs again, and whether a name was given up with one."""

    at: float | None = None
    freed: bool = False


def _follow_missing(rooms: Rooms, held: Held, found: _Found) -> _Following:
    """Prune what was bound to a ref that two reads missed; an empty answer is never believed."""
    missing = found.known.keys() - found.tips.refs.keys()
    if not missing or not found.tips.refs:
        return _Following()
    now, name = rooms.store.now(), found.repository.name

    def change(conn: Connection) -> _Following:
        waiting = freed = False
        for ref in missing:
            since = repositories.mark_missing(conn, name, ref, now=now)
            if now - since >= REF_GONE_AFTER_S:
                freed = unbind_ref(rooms, conn, name, ref) or freed
                repositories.remove_tip(conn, name, ref)
            else:
                waiting = True
        return _Following(now + REF_GONE_AFTER_S if waiting else None, freed)

    return held.write(change)
