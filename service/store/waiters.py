"""Threads that wait for work. The transaction that makes some claims it for one of them, and its commit hands it over.

So nobody who is free has to look for what was just made, and what a push leads to costs a commit less at each step of its way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from service import limits
from service.store import wanted, work
from service.store.clock import Clock
from service.store.database import is_locked, unavailable
from service.store.ids import new_id

# Whose change this is does not wait for a row that somebody else's first change wants; it waits itself.
_NO_LONG_WAIT = text("SET LOCAL lock_timeout = 100")

# The first change of a step: a function of the connection and the key of its work.
Opening = Callable[[Connection, str], Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A claim, and in a tuple of one what the first change of its step came to, where that was made with it."""

    claim: work.Claim
    opened: tuple[Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seek:
    """What a thread looks for. `openings` are the first changes of steps, by kind of work.

    `owner` is the end of the name under which it is claimed. Each claim has a beginning of its own: after a failover that lost a
    commit the same fence is given again, and would tell two threads of one process nothing.
    """

    kinds: tuple[str, ...]
    owner: str
    lease_s: float
    openings: Mapping[str, Opening] = field(default_factory=dict)

    def take(self, connection: Connection, now: float, clock: Clock | None = None) -> Found | None:
        """Claim what is due longest, and make the first change. What that raises undoes it alone: the step will meet it again.

        Unless the database cannot write, or has undone the whole transaction by itself: then this raises.
        """
        owner = f"{new_id()[-8:]}-{self.owner}"
        claim = work.claim(connection, self.kinds, owner=owner, now=now, lease_s=self.lease_s, clock=clock)
        if claim is None:
            return None
        opening = self.openings.get(claim.kind)
        if opening is None:
            return Found(claim)
        noted = wanted.take(connection)
        savepoint = connection.begin_nested()
        try:
            if connection.dialect.name == "postgresql":
                connection.execute(_NO_LONG_WAIT)
            opened = (opening(connection, claim.key),)
            savepoint.commit()
        except Exception as error:  # whatever it is, it is the step's to tell
            if unavailable(error) and not is_locked(error):
                raise
            savepoint.rollback()
            wanted.take(connection)
            opened = None
        for kind in noted:
            wanted.note(connection, kind)
        return Found(claim, opened)


class Waiter:
    """One thread. It is woken once: with what was claimed for it, or with nothing, to look by itself."""

    def __init__(self, seek: Seek) -> None:
        self.seek = seek
        self._woken = threading.Event()
        self._found: Found | None = None

    def wait(self, timeout_s: float | None = None) -> Found | None:
        self._woken.wait(timeout_s)
        return self._found

    def wake(self, found: Found | None = None) -> None:
        self._found = found
        self._woken.set()


class Waiters:
    """`clock` is the store's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: list[Waiter] = []

    def join(self, seek: Seek) -> Waiter:
        waiter = Waiter(seek)
        with self._lock:
            self._waiting.append(waiter)
        return waiter

    def leave(self, waiter: Waiter) -> Found | None:
        """What was claimed for it. Where a transaction is at that just now, its end is waited for; one that hangs has the claim until
        its lease ends."""
        with self._lock:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                return None
        return waiter.wait(limits.STORE_WRITE_TIMEOUT_S)

    def wake(self, kinds: Collection[str] | None = None) -> None:
        """Let those who wait for one of these kinds (None: everybody) look by themselves."""
        for waiter in self._pick(kinds):
            waiter.wake()

    def serve(self, connection: Connection, kinds: Collection[str]) -> Served:
        """In the transaction that made work of these kinds, just before its commit."""
        served = Served(self)
        try:
            while kinds:
                served.kinds.update(kinds)
                picked = self._pick(kinds)
                served.found |= dict.fromkeys(picked)
                for waiter in picked:
                    served.found[waiter] = waiter.seek.take(connection, self._clock.now(), self._clock.theirs)
                kinds = wanted.take(connection)
        except BaseException:
            served.undone()
            raise
        return served

    def _pick(self, kinds: Collection[str] | None) -> list[Waiter]:
        """Those who wait for any of these; they wait no more."""
        with self._lock:
            picked = [one for one in self._waiting if kinds is None or not set(kinds).isdisjoint(one.seek.kinds)]
            self._waiting = [one for one in self._waiting if one not in picked]
        return picked


@dataclass(slots=True)
class Served:
    """For whom a transaction claimed what, and which kinds of work it made. They wait until it says how it ended."""

    waiters: Waiters
    kinds: set[str] = field(default_factory=set)
    found: dict[Waiter, Found | None] = field(default_factory=dict)

    def committed(self) -> None:
        for waiter, found in self.found.items():
            waiter.wake(found)
        if self.kinds:
            self.waiters.wake(self.kinds)  # those who came since, and looked before this was to be seen

    def undone(self) -> None:
        """Nothing of it is true."""
        for waiter in self.found:
            waiter.wake()
