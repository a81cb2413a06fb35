"""What the stand-in does wrong on demand: each fault hits the next calls of a method, or of any, so often and then no more."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

# The name that incoming webhooks go by where a method is named.
WEBHOOK = "webhook"
Kind = Literal["too_many", "refuse", "status", "hang", "cut", "dribble"]


@dataclass(slots=True)
class Fault:
    """`taken`: the call was carried out before its answer was spoiled. `skip` calls pass unharmed first."""

    kind: Kind
    method: str | None
    times: int
    skip: int
    taken: bool = False
    code: str = ""
    status: int = 0
    retry_after: str = "1"


class Faults:
    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()
        self.released = threading.Event()

    def too_many(self, *, times: int = 1, retry_after: int | str = 1, method: str | None = None, skip: int = 0) -> None:
        """HTTP 429 with Retry-After."""
        self._add(Fault("too_many", method, times, skip, retry_after=str(retry_after)))

    def refuse(self, code: str, *, times: int = 1, method: str | None = None, skip: int = 0) -> None:
        """`ok: false` with this code; a webhook answers the code's status and word."""
        self._add(Fault("refuse", method, times, skip, code=code))

    def status(
        self,
        status: int,
        *,
        times: int = 1,
        method: str | None = None,
        skip: int = 0,
        taken: bool = False,
        retry_after: int | None = None,
    ) -> None:
        """A status with a page that is no JSON, as a proxy in front of Slack answers."""
        wait = "" if retry_after is None else str(retry_after)
        self._add(Fault("status", method, times, skip, status=status, taken=taken, retry_after=wait))

    def hang(self, *, times: int = 1, method: str | None = None, skip: int = 0, taken: bool = False) -> None:
        """No answer until `release`, and then none either."""
        self._add(Fault("hang", method, times, skip, taken=taken))

    def cut(self, *, times: int = 1, method: str | None = None, skip: int = 0, taken: bool = True) -> None:
        """The connection ends without an answer; `taken`: the message is there all the same."""
        self._add(Fault("cut", method, times, skip, taken=taken))

    def dribble(self, *, times: int = 1, method: str | None = None, skip: int = 0) -> None:
        """The answer comes a byte now and then, and never to its end."""
        self._add(Fault("dribble", method, times, skip, taken=True))

    def release(self) -> None:
        """Let go of everybody who hangs."""
        self.released.set()

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append(fault)

    def next(self, method: str) -> Fault | None:
        """The fault that this call meets: the first that is about its method."""
        with self._lock:
            for fault in self._waiting:
                if fault.method not in (None, method):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if not fault.times:
                    self._waiting.remove(fault)
                return fault
        return None
