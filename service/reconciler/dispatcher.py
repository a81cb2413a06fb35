"""Who does the work: threads that claim it, renew their leases, and put it back when it fails.

A step is a function of (rooms, held). It may return a time at which it wants to be called again; returning None means done;
raising means: again, later and later. Every step can be killed at any line and called again: restart
recovery is this loop and nothing else.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

import structlog
from sqlalchemy import Connection

from service import limits
from service.errors import GitopsError, LeaseLost, SettingsError, Stopping, StoreUnavailable
from service.reconciler.outage import Outage
from service.reconciler.rooms import Rooms
from service.store import Found, Seek, Store, new_id, work

log = structlog.get_logger(__name__)

# Who waits for work looks for it by itself at least this often.
_LOOK_S = 5.0
# How the name of an owner ends since it says where it is.
_PLACED = re.compile(r"-[0-9a-z]{8}\.[0-9a-f]*$")
# Between a look at the lease and the write that it allows.
_SPARE_S = 1.0
# At the end a fetch that is under way gets this long; one that was ended is done again by the next service.
_GIT_GRACE_S = 1.0


T = TypeVar("T")


class Held:
    """A claim while a step works on it. Ask `check` just before every write outside the store."""

    def __init__(self, store: Store, found: Found) -> None:
        self.claim = found.claim
        self._opened = found.opened
        self.lost = threading.Event()
        self.is_put_down = False
        self._store = store
        self._until = found.claim.until
        self._when_lost: list[Callable[[Connection], None]] = []

    @property
    def key(self) -> str:
        return self.claim.key

    @property
    def name(self) -> str:
        """Of this claim, which no other one has."""
        return f"{self.claim.owner}/{self.claim.fence}"

    def when_lost(self, change: Callable[[Connection], None]) -> None:
        """A change that is made if the work turns out to be somebody else's by now: what was written outside may have come too late."""
        self._when_lost.append(change)

    def own_up(self) -> None:
        """It is somebody else's."""
        while self._when_lost:
            self._store.write(self._when_lost[-1])
            self._when_lost.pop()

    def open(self, opening: Callable[[Connection], T]) -> T:
        """The first change of a step, which was made together with the claim where that was possible."""
        if self._opened is None:
            return self._store.write(lambda conn: self._held_to_the_end(opening(conn), conn))
        (opened,), self._opened = self._opened, None
        return cast(T, opened)

    def check(self) -> None:
        """Raises LeaseLost unless the lease is ours for longer than a write outside of the store may take."""
        if self.lost.is_set():
            raise LeaseLost(f"the lease on {self.claim.kind} {self.claim.key} is lost")
        if self._until - self._store.now() < limits.OUTSIDE_WRITE_TIMEOUT_S + _SPARE_S:
            self.renew()

    def _held_to_the_end(self, opened: T, conn: Connection) -> T:
        """Looked at last, as openings lock other work first, which those who have that do before they ask for ours."""
        work.check(conn, self.claim)
        return opened

    def write(self, change: Callable[[Connection], T]) -> T:
        """A change that is made only while the work is ours: what somebody found before he was held up is not written over what
        others found since. Raises LeaseLost."""

        def fenced(conn: Connection) -> T:
            work.check(conn, self.claim)
            return change(conn)

        return self._store.write(fenced)

    def close(self, closing: Callable[[Connection], bool]) -> None:
        """The last change of a step. When it says that nothing is left to do, the work is put down in the same transaction."""

        def change(conn: Connection) -> bool:
            is_done = closing(conn)
            if is_done:
                work.finish(conn, self.claim)
            return is_done

        self.is_put_down = self._store.write(change)

    def renew(self) -> None:
        now, lease_s, clock = self._store.now(), self._store.lease_s, self._store.their_clock
        try:
            until = self._store.write(partial(work.renew, claim=self.claim, now=now, lease_s=lease_s, clock=clock))
        except LeaseLost:
            self.lost.set()
            raise
        self.renewed(until)

    def renewed(self, until: float) -> None:
        """The lease lasts until then."""
        self._until = until


Step = Callable[[Rooms, Held], float | None]
# The first change that a step makes, of the key of its work.
Opening = Callable[[Rooms, Connection, str], object]
Took = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Crew:
    """Threads that share kinds of work, so that a slow kind never keeps another waiting."""

    kinds: tuple[str, ...]
    threads: int = 1


class Dispatcher:
    """`took` hears of every piece of work its kind and the seconds from its claim until it was put down.

    A step that begins with a change has it among the `openings`, to be made with the claim, and asks for it by `Held.open`.
    """

    def __init__(
        self,
        rooms: Rooms,
        steps: Mapping[str, Step],
        crews: tuple[Crew, ...],
        took: Took,
        openings: Mapping[str, Opening] | None = None,
    ) -> None:
        self._rooms = rooms
        self._took = took
        self._steps = steps
        self._openings = {kind: partial(opening, rooms) for kind, opening in (openings or {}).items()}
        self._crews = crews
        # Pods may share the beginning of their names, and all have the same process ids.
        self.owner = f"{socket.gethostname()[:24]}-{os.getpid()}-{new_id()[-8:]}.{rooms.place}"
        self._held: set[Held] = set()
        self._outage = Outage()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def check_place(self) -> None:
        """Raises SettingsError where others work for this store whose jobs could not be seen from here, nor ours from there."""
        with self._rooms.store.read() as conn:
            others = work.holders(conn, now=self._rooms.store.now())
        for owner in filter(_PLACED.search, others):
            if owner.rpartition(".")[2] != self._rooms.place:
                raise SettingsError(
                    f"{owner.rpartition('.')[0]} works for the same store, and not with the same launcher.runs_dir on the same machine",
                    mend="Let all replicas share launcher.runs_dir on one machine, or use launcher.kind: kubernetes on several",
                )

    def start(self) -> None:
        for crew in self._crews:
            turn = threading.Lock()
            for number in range(crew.threads):
                self.spawn(f"{crew.kinds[0]}-{number}", partial(self._labour, crew.kinds, turn))
        self.spawn("leases", self._keep_leases)

    def stop(self, timeout_s: float) -> None:
        """Ask every step to end at its next pause and wait for them; those whose git hangs do not wait for it any more."""
        self._rooms.stopping.set()
        self._rooms.schedules_changed.set()
        self._rooms.store.wake()
        now = time.monotonic()
        self._join(now + min(_GIT_GRACE_S, timeout_s))
        self._rooms.source.interrupt()
        self._join(now + timeout_s)

    def _join(self, until: float) -> None:
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def spawn(self, name: str, target: Callable[[], None]) -> None:
        """A thread that ends when `stopping` is set."""
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _labour(self, kinds: tuple[str, ...], turn: threading.Lock) -> None:
        """One thread of a crew waits for work; the others wait for their turn to do that, and need not be woken in vain."""
        while not self._rooms.stopping.is_set():
            try:
                with turn:
                    held = self._next(kinds)
                if held is not None:
                    self._outage.is_over()
                    self._do(held)
            except StoreUnavailable as error:
                self._outage.met(error)
                self._rooms.stopping.wait(1.0)
            except Exception:  # a bug of ours: a thread that died would leave its work to nobody
                log.exception("a worker met an error outside of a step")
                self._rooms.stopping.wait(1.0)

    def _next(self, kinds: tuple[str, ...]) -> Held | None:
        """Work of these kinds, waited for; None when the service stops."""
        seek = Seek(kinds=kinds, owner=self.owner, lease_s=self._rooms.store.lease_s, openings=self._openings)
        while not self._rooms.stopping.is_set():
            if (found := self._rooms.store.next_work(seek, _LOOK_S)) is not None:
                return Held(self._rooms.store, found)
        return None

    def _do(self, held: Held) -> None:
        claim, began = held.claim, time.monotonic()
        with self._lock:
            self._held.add(held)
        try:
            with structlog.contextvars.bound_contextvars(work=claim.kind, key=claim.key):
                at, error = self._step(held)
                if not held.is_put_down:
                    self._put_down(held, at, error)
        finally:
            with self._lock:
                self._held.discard(held)
            self._took(claim.kind, time.monotonic() - began)

    def _put_down(self, held: Held, at: float | None, error: str | None) -> None:
        """Say that it is done, or when again; of work that is somebody else's by now, what is to be said then. A store that can't write now
        is asked again: the work is ours until then."""
        claim = held.claim

        def change(conn: Connection) -> None:
            if at is None:
                work.finish(conn, claim)
            else:
                work.again(conn, claim, at=at, error=error)

        while True:
            try:
                if held.lost.is_set():
                    held.own_up()
                else:
                    self._rooms.store.write(change)
            except LeaseLost:
                log.warning("lease lost at the end")
                held.lost.set()
                continue
            except StoreUnavailable as refusal:
                self._outage.met(refusal)
                if not self._rooms.stopping.wait(1.0):
                    continue
            return

    def _step(self, held: Held) -> tuple[float | None, str | None]:
        """When to do it again (None: done), and the error that is the reason."""
        claim = held.claim
        try:
            return self._steps[claim.kind](self._rooms, held), None
        except LeaseLost:
            held.lost.set()
            return None, None
        except Stopping:
            return self._rooms.store.now(), None
        except GitopsError as error:
            log.warning("step failed", error=str(error), detail=error.detail[-2000:], attempt=claim.attempts + 1)
            return self._retry_at(claim), str(error)
        except Exception as error:
            log.exception("step met a bug", attempt=claim.attempts + 1)
            return self._retry_at(claim), f"{type(error).__name__}: {error}"

    def _retry_at(self, claim: work.Claim) -> float:
        """Counted from now: a step that hung for a minute before it failed has not rested meanwhile."""
        return self._rooms.store.now() + work.backoff(claim.attempts + 1)

    def _keep_leases(self) -> None:
        """All in one transaction. A lease that is not renewed in time is found lost by whoever needs it."""
        while not self._rooms.stopping.wait(self._rooms.store.lease_s / limits.LEASE_RENEWALS):
            with self._lock:
                held = {one.claim: one for one in self._held}
            try:
                self._renew(held)
                self._outage.is_over()
            except StoreUnavailable as error:
                self._outage.met(error)
            except Exception:  # a bug of ours: without this thread, all work of this process would be taken from it
                log.exception("leases not renewed")

    def _renew(self, held: Mapping[work.Claim, Held]) -> None:
        """Whoever holds nothing has no other look at the database's clock."""
        store = self._rooms.store
        if not held:
            store.set_clock()
            return
        now, lease_s, clock = store.now(), store.lease_s, store.their_clock
        renewed = store.write(partial(work.renew_all, claims=list(held), now=now, lease_s=lease_s, clock=clock))
        for claim, until in renewed.items():
            held[claim].renewed(until)
