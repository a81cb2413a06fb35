"""A store that is away is met by every thread, every second: people are told when it begins, from time to time, and when it is over."""

from __future__ import annotations

import threading
import time

import structlog

from service.errors import StoreUnavailable

log = structlog.get_logger(__name__)

_AGAIN_S = 30.0


class Outage:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began: float | None = None
        self._told = 0.0

    def met(self, error: StoreUnavailable) -> None:
        now = time.monotonic()
        with self._lock:
            if self._began is None:
                self._began = now
            elif now < self._told + _AGAIN_S:
                return
            self._told, since = now, now - self._began
        log.warning("the store is away; work waits for it", error=str(error), seconds=round(since))

    def is_over(self) -> None:
        """Somebody reached it."""
        if self._began is None:  # nearly always, and then it costs no lock
            return
        with self._lock:
            began, self._began = self._began, None
        if began is not None:
            log.info("the store is back", seconds=round(time.monotonic() - began))
