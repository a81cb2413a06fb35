"""Random wishes, claims, failures, renewals, crashes and pauses: the table and a model of forty lines must agree.

Time is a number here, so an hour's pause costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete

from service import limits
from service.errors import LeaseLost
from service.store import Store, work
from service.store.models import work as table

KINDS = ("sync", "poll")
KEYS = ("a", "b")
LEASE_S = 60.0


@dataclass(slots=True)
class Piece:
    """What the table should know of one (kind, key)."""

    wishes: int = 0
    done: int = 0
    at: float = 0.0
    taken: int | None = None  # the generation being done
    until: float = 0.0
    holder: work.Claim | None = None
    failures: int = 0

    @property
    def open(self) -> bool:
        return self.wishes > self.done

    @property
    def due(self) -> float:
        return self.at if self.taken is None else self.until


class Machine(RuleBasedStateMachine):
    claims = Bundle("claims")

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.now = 1_000_000.0
        self.pieces = {(kind, key): Piece() for kind in KINDS for key in KEYS}
        store.write(lambda conn: conn.execute(delete(table)))

    @rule(
        kind=st.sampled_from(KINDS), key=st.sampled_from(KEYS), delay=st.sampled_from([None, 0.0, 5.0, 100.0, 5000.0])
    )
    def want(self, kind: str, key: str, delay: float | None) -> None:
        at = None if delay is None else self.now + delay
        self.store.write(lambda conn: work.want(conn, kind, key, now=self.now, not_before=at))
        piece = self.pieces[kind, key]
        start = self.now if at is None else at
        waits = piece.open and (piece.taken is None or piece.wishes > piece.taken)
        piece.at = min(piece.at, start) if waits else start
        piece.wishes += 1

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=claims, kinds=st.sampled_from([KINDS, KINDS[:1], KINDS[1:]]), owner=st.sampled_from(["x", "y"]))
    def claim(self, kinds: tuple[str, ...], owner: str) -> Any:
        got = self.store.write(lambda conn: work.claim(conn, kinds, owner=owner, now=self.now, lease_s=LEASE_S))
        due = [p for (kind, _), p in self.pieces.items() if kind in kinds and p.open and p.due <= self.now]
        if got is None:
            assert not due
            return None
        piece = self.pieces[got.kind, got.key]
        assert piece in due
        assert piece.at == min(p.at for p in due)
        assert piece.taken is None or piece.until <= self.now, "two hold it at once"
        assert got.generation == piece.wishes
        assert got.attempts == piece.failures
        assert piece.holder is None or got.fence > piece.holder.fence
        piece.taken, piece.until, piece.holder = got.generation, self.now + LEASE_S, got
        return got

    def _holds(self, claim: work.Claim) -> bool:
        piece = self.pieces[claim.kind, claim.key]
        return piece.taken is not None and piece.holder == claim

    def _do(self, claim: work.Claim, change: Any) -> bool:
        """Whether it was allowed, which the model must have known."""
        if self._holds(claim):
            self.store.write(change)
            return True
        with pytest.raises(LeaseLost):
            self.store.write(change)
        return False

    @rule(claim=claims)
    def finish(self, claim: work.Claim | None) -> None:
        if claim and self._do(claim, lambda conn: work.finish(conn, claim)):
            piece = self.pieces[claim.kind, claim.key]
            piece.done, piece.taken, piece.failures = claim.generation, None, 0

    @rule(claim=claims, delay=st.sampled_from([0.0, 8.0, 1000.0]), error=st.sampled_from([None, "boom"]))
    def again(self, claim: work.Claim | None, delay: float, error: str | None) -> None:
        at = self.now + delay
        if claim and self._do(claim, lambda conn: work.again(conn, claim, at=at, error=error)):
            piece = self.pieces[claim.kind, claim.key]
            piece.at = min(piece.at, at) if piece.wishes > claim.generation else at
            piece.taken = None
            piece.failures = claim.attempts + 1 if error else 0

    @rule(claim=claims)
    def renew(self, claim: work.Claim | None) -> None:
        if claim and self._do(claim, lambda conn: work.renew(conn, claim, now=self.now, lease_s=LEASE_S)):
            self.pieces[claim.kind, claim.key].until = self.now + LEASE_S

    @rule(claim=claims)
    def check(self, claim: work.Claim | None) -> None:
        if claim is None:
            return
        lasts = self._holds(claim) and self.pieces[claim.kind, claim.key].until > self.now
        with self.store.read() as conn:
            if lasts:
                work.check(conn, claim, now=self.now)
            else:
                with pytest.raises(LeaseLost):
                    work.check(conn, claim, now=self.now)

    @rule()
    def the_process_dies_and_another_starts(self) -> None:
        self.store.write(lambda conn: work.release_dead(conn, now=self.now))
        for (kind, _), piece in self.pieces.items():
            if piece.taken is not None:
                piece.at, piece.taken = min(piece.at, self.now), None
            if piece.open and kind not in work.SCHEDULED and piece.at > self.now + limits.BACKOFF_MAX_S:
                piece.at = self.now

    @invariant()
    def the_next_due_time_is_known(self) -> None:
        with self.store.read() as conn:
            for kind in KINDS:
                due = [piece.due for (k, _), piece in self.pieces.items() if k == kind and piece.open]
                assert work.next_due(conn, [kind]) == min(due, default=None)


def test_the_table_and_the_model_agree(store: Store) -> None:
    run_state_machine_as_test(
        lambda: Machine(store),  # type: ignore[arg-type]  # any maker will do, hypothesis only calls it
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
