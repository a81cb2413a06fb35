"""Tells the service what the runner wrote down, line by line, from a thread of its own.

The service says how many lines it has, and the next message begins there: what was sent twice is there once, and what
was lost, with the answer or with the service's disk, is sent again.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Callable, List, Optional

from .lines import Lines, finishes
from .service import OverError, Patience, RefusedError, Service, TakenError, TooLargeError, UnavailableError
from .words import say

EVENTS, RESULT = "events.jsonl", "result.json"
POLL_S = 0.2
# What comes within this goes together: a run that tells much is one request a second.
PAUSE_S = 1.0
FOREVER = float("inf")
MISTAKE_S = 5.0


class Relay:
    """From its thread `stop` is called, with the reason, when the job is to end, and `wake` when there is nothing more to tell."""

    def __init__(
        self,
        service: Service,
        folder: str,
        claimer: str,
        found: Any,
        *,
        count: int,
        result: bool,
        look_s: float,
        stop: Callable[[str], None],
        wake: Callable[[], None],
    ) -> None:
        self._service = service
        self._claimer = claimer
        self._found = found
        self._lines = Lines(os.path.join(folder, EVENTS))
        self._result: Optional[str] = os.path.join(folder, RESULT) if result else None
        self._count = count
        self._look_s = look_s
        self._stop = stop
        self._wake = wake
        self._ended = threading.Event()
        self._given_up = threading.Event()
        self._finished = threading.Event()
        self._ended_at = self._until = FOREVER
        self._patience = Patience(lambda: self._until, self._given_up)
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self.left = ""  # why the service does not have everything

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """The runner has ended: what is in its file now is all."""
        self._ended_at = time.monotonic()
        self._ended.set()

    def done(self, within_s: float) -> bool:
        """Whether the rest is told, or took longer than `within_s` since the end."""
        self._until = self._ended_at + within_s
        if self._finished.is_set():
            return True
        if time.monotonic() <= self._until:
            return False
        self._given_up.set()
        self.left = self.left or "it did not answer in time"
        return True

    def _run(self) -> None:
        while not self._finished.is_set():
            try:
                self._tell_all()
            except OverError as exc:
                self._stop(str(exc))
                self._tell_last()
            except (RefusedError, UnavailableError) as exc:
                self.left = str(exc)
                if isinstance(exc, TakenError):
                    self._stop(str(exc))
            except Exception as exc:  # a mistake of ours must not cost a run: the disk, the memory may be better later
                say(f"events could not be told: {exc!r}; tries again")
                if not self._given_up.wait(MISTAKE_S):
                    continue
            self._finished.set()
        self._wake()

    def _tell_all(self) -> None:
        looked = time.monotonic()
        while True:
            ended = self._ended.is_set()  # before the file is looked at: what comes after is nobody's
            lines = self._lines.take(self._count)
            if not lines and ended:
                return
            if lines or time.monotonic() - looked >= self._look_s:
                self._tell(lines)
                looked = time.monotonic()
                self._ended.wait(PAUSE_S)
            else:
                self._ended.wait(POLL_S)

    def _tell(self, lines: List[bytes]) -> None:
        if self._result is not None and finishes(lines):
            self._send_result(self._result)  # again with the line that needs it, should the service have lost both
        try:
            self._count = self._patience.ask(lambda: self._service.events(self._claimer, self._count, lines))
        except TakenError:
            # A store that was restored from before our claim knows nothing of it; if it is another's now, this raises.
            self._count = self._patience.ask(lambda: self._service.claim(self._claimer, self._found))

    def _send_result(self, path: str) -> None:
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            return  # of a load that failed there is none
        try:
            self._patience.ask(lambda: self._service.result(self._claimer, data))
        except TooLargeError:
            return

    def _tell_last(self) -> None:
        """What the runner still said after it was told to end; the service keeps it while it has not given the job up."""
        self._ended.wait()
        try:
            self._service.events(self._claimer, self._count, self._lines.take(self._count))
        except (RefusedError, UnavailableError):
            return
