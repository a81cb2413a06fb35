"""Deliveries that prove nothing about their sender: counted always, recorded now and then, never at the sender's cost in time.

A stranger can send as many as they like, so a record has no body, each hook gets at most one a second, and the
record is written by a thread of its own: no disk is filled, and the time until the answer does not tell whether the hook exists.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from service import limits
from service.errors import StoreUnavailable
from service.store import Store, deliveries
from service.store.deliveries import Delivery

log = logging.getLogger(__name__)

OnRejected = Callable[[Connection, Delivery], None]
_WAITING = 64


class Rejections:
    """`on_rejected` is called in the transaction that records one, for whoever wants to be told."""

    def __init__(
        self, store: Store, on_rejected: OnRejected | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._on_rejected = on_rejected
        self._clock = clock
        self._lock = threading.Lock()
        self._recorded_at: dict[str | None, float] = {}
        self._unrecorded: dict[str | None, int] = {}
        self._queue: queue.Queue[Delivery | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None

    def note(self, hook: str | None, rejected: Callable[[], Delivery]) -> None:
        """Hooks that we don't know (None) share one budget: their names are the sender's invention."""
        if (missed := self._due(hook)) is None:
            return
        row = rejected()
        if missed:
            row = replace(row, reason=f"{row.reason} ({missed} more went unrecorded before this one)")
        try:
            self._queue.put_nowait(row)
        except queue.Full:
            log.warning("rejected deliveries come faster than they are recorded")

    def close(self) -> None:
        """Record what waits, then end."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join(timeout=limits.STORE_WRITE_TIMEOUT_S)

    def _due(self, key: str | None) -> int | None:
        """How many went unrecorded since the last record of `key`; None when it is too early for another."""
        with self._lock:
            now = self._clock()
            if now - self._recorded_at.get(key, float("-inf")) < limits.REJECTION_RECORD_S:
                self._unrecorded[key] = self._unrecorded.get(key, 0) + 1
                return None
            self._recorded_at[key] = now
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rejections", daemon=True)
                self._thread.start()
            return self._unrecorded.pop(key, 0)

    def _run(self) -> None:
        while (rejected := self._queue.get()) is not None:
            try:
                self._store.write(partial(self.record, rejected=rejected))
            except StoreUnavailable as error:
                log.warning("a rejected delivery was not recorded: %s", error)
            except Exception:  # a bug: this one is told in the log, and the thread lives on for the next
                log.exception("a rejected delivery was not recorded")

    def record(self, connection: Connection, rejected: Delivery) -> None:
        """In the caller's transaction."""
        deliveries.add(connection, rejected)
        if self._on_rejected is not None:
            self._on_rejected(connection, rejected)
