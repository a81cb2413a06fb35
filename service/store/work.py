"""The one queue. A row a (kind, key): `wanted` counts what was asked for, `done` how far it came.

Work that is wanted while somebody does it is claimed once more when they finish, so that nothing said meanwhile is lost.
A claim is a lease with a fence: the claimer that was too slow finds the fence moved and must stop. What is written
outside the store is preceded by `check`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Integer,
    Select,
    Update,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningInsert

from service import limits
from service.errors import LeaseLost
from service.store import wanted as wake
from service.store.clock import Clock, passed
from service.store.models import work
from service.store.sql import insert

# Kinds whose not_before is a schedule and may lie far ahead.
SCHEDULED = frozenset({"poll", "fire"})

_row = work.c
_open = _row.wanted > _row.done


@dataclass(frozen=True, slots=True)
class Claim:
    """Work that is ours `until` the lease ends, if it is not renewed. `attempts` counts the failures in a row before this claim."""

    kind: str
    key: str
    generation: int
    fence: int
    attempts: int
    owner: str
    until: float


@dataclass(frozen=True, slots=True)
class Work:
    """A row as it stands, for people and tests."""

    kind: str
    key: str
    wanted: int
    done: int
    not_before: float
    attempts: int
    owner: str | None
    lease_until: float | None
    fence: int
    error: str | None


def want(connection: Connection, kind: str, key: str, *, now: float, not_before: float | None = None) -> None:
    """Ask for (kind, key), at once or from `not_before` on. Never postpones what was asked for earlier."""
    at = now if not_before is None else not_before
    fresh = {"wanted": 1, "done": 0, "attempts": 0, "fence": 0, "claimed": 0}
    wish = _wish(connection.dialect.name)
    owner = connection.execute(wish, {"kind": kind, "key": key, "not_before": at, **fresh}).scalar_one()
    # What somebody is at can't be claimed; they ring when they put it down.
    if owner is None:
        wake.note(connection, kind)


@cache
def _wish(dialect: str) -> ReturningInsert[tuple[str | None]]:
    statement = insert(dialect, work)
    at = statement.excluded.not_before
    # While the present generation is being done, its not_before is spent: the next one starts with ours.
    waiting = and_(_open, or_(_row.owner.is_(None), _row.wanted > _row.claimed))
    return statement.on_conflict_do_update(
        index_elements=[_row.kind, _row.key],
        set_={"wanted": _row.wanted + 1, "not_before": case((waiting, _earlier(at)), else_=at)},
    ).returning(_row.owner)


def claim(
    connection: Connection,
    kinds: Collection[str],
    *,
    owner: str,
    now: float,
    lease_s: float,
    keys: Collection[str] | None = None,
    clock: Clock | None = None,
) -> Claim | None:
    """The work that is due longest, leased to `owner` for `lease_s` seconds; None when none is due.

    With `clock`, here as in `renew` and `renew_all`, leases begin by the database's, which it is told.
    """
    query = _longest_due if keys is None else _longest_due_of_those
    found = connection.execute(query, {"kinds": list(kinds), "now": now, "keys": list(keys or ())}).first()
    if found is None:
        return None
    mine = Claim(found.kind, found.key, found.wanted, found.fence + 1, found.attempts, owner, now + lease_s)
    said = {"owner": owner, "fence": mine.fence, "claimed": mine.generation}
    return replace(mine, until=_lease(connection, mine, now, lease_s, clock, **said))


def lock(connection: Connection, kind: str, key: str) -> None:
    """Nobody else passes this line for (kind, key) until the transaction ends."""
    if connection.dialect.name == "sqlite":
        return  # which has one transaction that writes
    if connection.execute(_locked_one, {"of_kind": kind, "of_key": key}).first() is None:
        nothing = insert(connection.dialect.name, work).on_conflict_do_nothing()
        connection.execute(nothing, {"kind": kind, "key": key, "wanted": 0, "not_before": 0.0})
        connection.execute(_locked_one, {"of_kind": kind, "of_key": key})


def finish(connection: Connection, claim: Claim) -> None:
    """Done. What was wanted meanwhile is work again."""
    held = _held(connection, claim)
    _set(connection, claim, done=claim.generation, attempts=0, error=None, **_FREE)
    if held.wanted > claim.generation:
        wake.note(connection, claim.kind)


def again(connection: Connection, claim: Claim, *, at: float, error: str | None = None) -> None:
    """Not done: retry from `at` on, or earlier when somebody wanted it meanwhile.

    With `error` it was a failure and counts; without, it was a pass that ends a row of failures.
    """
    _held(connection, claim)
    attempts = 0 if error is None else claim.attempts + 1
    _set(connection, claim, _put_off, at=at, generation=claim.generation, attempts=attempts, error=error, **_FREE)
    wake.note(connection, claim.kind)


def renew(connection: Connection, claim: Claim, *, now: float, lease_s: float, clock: Clock | None = None) -> float:
    """The lease lasts `lease_s` seconds from now: until when."""
    _held(connection, claim)
    return _lease(connection, claim, now, lease_s, clock)


def renew_all(
    connection: Connection, claims: Collection[Claim], *, now: float, lease_s: float, clock: Clock | None = None
) -> dict[Claim, float]:
    """As `renew`, for all that one process holds; those that it did renew, and until when.

    A row that somebody has locked just now is left for the next time: one that hangs takes no lease from its neighbours.
    """
    held = {(claim.kind, claim.key, claim.owner, claim.fence): claim for claim in claims}
    asked = {"kinds": sorted({claim.kind for claim in claims}), "owners": sorted({claim.owner for claim in claims})}
    found = connection.execute(_held_by, asked)
    renewed = [claim for row in found if (claim := held.get((row.kind, row.key, row.owner, row.fence))) is not None]
    return {claim: _lease(connection, claim, now, lease_s, clock) for claim in renewed}


def check(connection: Connection, claim: Claim, *, now: float | None = None) -> None:
    """Raise LeaseLost unless the lease is ours, and lasts beyond `now`.

    Asked just before something outside is written; without `now`, inside a transaction that depends on the claim.
    """
    held = _held(connection, claim)
    if now is not None and held.lease_until <= now:
        raise LeaseLost(f"the lease on {claim.kind} {claim.key} ran out {now - held.lease_until:.1f} s ago")


def next_due(connection: Connection, kinds: Collection[str]) -> float | None:
    """The earliest time at which `claim` could find something; None when nothing is wanted."""
    return connection.execute(_next_due, {"kinds": list(kinds)}).scalar()


def holders(connection: Connection, *, now: float) -> set[str]:
    """Who has a lease on anything."""
    return set(connection.execute(_holders, {"now": now}).scalars())


def get(connection: Connection, kind: str, key: str) -> Work | None:
    found = connection.execute(_one, {"of_kind": kind, "of_key": key}).first()
    return None if found is None else Work(*found)


def is_open(connection: Connection, kind: str, key: str) -> bool:
    """Whether it is wanted and not done: waiting or being worked on."""
    there = get(connection, kind, key)
    return there is not None and there.wanted > there.done


def waiting(connection: Connection, kinds: Collection[str] | None = None) -> list[Work]:
    """What is not done, the longest due first."""
    query = _all.where(_open).order_by(_row.not_before, _row.kind, _row.key)
    if kinds is not None:
        query = query.where(_row.kind.in_(list(kinds)))
    return [Work(*found) for found in connection.execute(query)]


def backlog(connection: Connection) -> dict[str, int]:
    """How much is wanted, by kind."""
    query = select(_row.kind, func.count().label("wanted")).where(_open).group_by(_row.kind)
    return {row.kind: row.wanted for row in connection.execute(query)}


def forget_done(connection: Connection, kind: str, *, but: Select[tuple[str]]) -> None:
    """Done work of this kind is no history any more, unless its key is one of `but`."""
    connection.execute(delete(work).where(_row.kind == kind, ~_open, _row.owner.is_(None), _row.key.not_in(but)))


def release_dead(connection: Connection, *, now: float) -> None:
    """Called by the only process there is, before it starts: every lease is of a dead one.

    A not_before further off than any backoff comes from a clock that was set back since; it is due now.
    """
    connection.execute(update(work).where(_row.owner.is_not(None)).values(not_before=_earlier(now), **_FREE))
    connection.execute(
        update(work)
        .where(_open, _row.kind.not_in(list(SCHEDULED)), _row.not_before > now + limits.BACKOFF_MAX_S)
        .values(not_before=now)
    )


def backoff(attempts: int, *, jitter: float = 0.0) -> float:
    """Seconds before the next try after `attempts` failures in a row (1, 2, ...): doubling, with a roof.

    `jitter` in 0..1, drawn by the caller, takes up to half of it off, so that many failures at once don't come back at once.
    """
    whole = min(limits.BACKOFF_FIRST_S * 2.0 ** min(max(attempts, 1) - 1, 62), limits.BACKOFF_MAX_S)
    return float(whole * (1 - jitter / 2))


_FREE: dict[str, Any] = {"owner": None, "lease_until": None}


def _held(connection: Connection, claim: Claim) -> Any:
    """The claim's row, locked to the end of the transaction (a reader has nothing to lock for)."""
    reads = connection.get_execution_options().get("postgresql_readonly")
    held = connection.execute(_held_one if reads else _locked_one, _named(claim)).first()
    if held is None or (held.fence, held.owner) != (claim.fence, claim.owner):
        now = "nobody" if held is None or held.owner is None else held.owner
        raise LeaseLost(f"{claim.kind} {claim.key} is leased to {now}, no longer to {claim.owner}")
    return held


def _set(connection: Connection, claim: Claim, statement: Update | None = None, **values: Any) -> None:
    connection.execute(_this if statement is None else statement, _named(claim) | values)


def _lease(
    connection: Connection, claim: Claim, now: float, lease_s: float, clock: Clock | None, **values: Any
) -> float:
    """Until when it lasts."""
    if clock is None:
        _set(connection, claim, lease_until=now + lease_s, **values)
        return now + lease_s
    asked = passed()
    until: float = connection.execute(_leased, _named(claim) | values | {"lease_s": lease_s}).scalar_one()
    clock.told(until - lease_s, asked)
    return until


def _named(claim: Claim) -> dict[str, Any]:
    return {"of_kind": claim.kind, "of_key": claim.key}


def _earlier(at: float | ColumnElement[float]) -> ColumnElement[float]:
    return case((_row.not_before < at, _row.not_before), else_=at)


# Made once: to make a statement takes longer than to execute it, and these are what all work goes through.
_is_one = and_(_row.kind == bindparam("of_kind"), _row.key == bindparam("of_key"))
_is_of = _row.kind.in_(bindparam("kinds", expanding=True))
_all = select(*(_row[one.name] for one in fields(Work)))
_one = _all.where(_is_one)
_this = update(work).where(_is_one)
# In PostgreSQL's words; no other database has a clock of its own.
_its_clock = literal_column("extract(epoch FROM clock_timestamp())::float8", Float)
_leased = _this.values(lease_until=_its_clock + bindparam("lease_s", type_=Float)).returning(_row.lease_until)
_put_off = _this.values(
    not_before=case(
        (_row.wanted > bindparam("generation", type_=Integer), _earlier(bindparam("at", type_=Float))),
        else_=bindparam("at", type_=Float),
    )
)
_held_one = select(_row.wanted, _row.fence, _row.owner, _row.lease_until).where(_is_one)
_locked_one = _held_one.with_for_update()
_held_by = (
    select(_row.kind, _row.key, _row.owner, _row.fence)
    .where(_is_of, _open, _row.owner.in_(bindparam("owners", expanding=True)))
    .order_by(_row.kind, _row.key)
    .with_for_update(skip_locked=True)
)
_holders = select(_row.owner).where(_open, _row.owner.is_not(None), _row.lease_until > bindparam("now")).distinct()
_next_due = select(func.min(case((_row.owner.is_(None), _row.not_before), else_=_row.lease_until))).where(_is_of, _open)
_is_due = or_(and_(_row.owner.is_(None), _row.not_before <= bindparam("now")), _row.lease_until <= bindparam("now"))
_longest_due = (
    select(_row.kind, _row.key, _row.wanted, _row.fence, _row.attempts)
    .where(_is_of, _open, _is_due)
    .order_by(_row.not_before, _row.kind, _row.key)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_longest_due_of_those = _longest_due.where(_row.key.in_(bindparam("keys", expanding=True)))
