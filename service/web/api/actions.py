"""What the API asks of the rest of the service: one small seam, which the reconciler fills.

Reading is done from the store; whatever makes something happen goes through here, after it was written into the
audit log. Every method checks anew what it is told: between a page being read and its button being pressed, the world
moves. Unknown names raise NotFound; what can't be done in the present state raises Conflict and says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Log(Protocol):
    """A part of a run's log: `text` ends before byte `next_offset`; `complete` when nothing will follow."""

    @property
    def text(self) -> str: ...

    @property
    def next_offset(self) -> int: ...

    @property
    def complete(self) -> bool: ...


class Actions(Protocol):
    def sync_repository(self, name: str, ref: str | None) -> str:
        """Fetch now and sync what the ref (None: every ref that moved) concerns, moved or not.

        Makes a delivery that says who asked, as a forge's webhook would; returns its id, by which the caller follows it.
        """

    def sync_project(self, name: str) -> str:
        """The same for the ref of one project; returns the delivery's id."""

    def plan(self, project: str, ref: str | None) -> str:
        """Plan a push of the tip of `ref` (None: the project's own), or of a commit, and do none of it; returns the plan's id.

        Asked again while it waits to be begun, it is the same one.
        """

    def drift(self, project: str) -> Mapping[str, Any]:
        """Compare what MLRun has now with what was saved there; raises Conflict where nothing was, MlrunError where MLRun can't say."""

    def run(self, project: str, workflow: str, arguments: Mapping[str, Any], request: str) -> str:
        """Queue a run of the revision in force; returns its id.

        `request` is the caller's idempotency key: asked twice with the same one, there is one run.
        """

    def retry(self, run: str) -> str:
        """Queue an ended run again, with the same revision and arguments; returns the new run's id."""

    def cancel(self, run: str) -> None:
        """Ask an open run to end. It has ended when its state says so."""

    def redeliver(self, delivery: str) -> str:
        """Handle a delivery's body again, as if the forge had sent it again; returns the new delivery's id."""

    def resend(self, notification: str) -> None:
        """Send a notification (again), with all its attempts before it."""

    def test_handler(self, name: str) -> None:
        """Send a test message through a handler, now. Raises DeliveryError with the reason if it does not leave."""

    def log(self, run: str, offset: int, wait_s: float) -> Log:
        """What a run printed, from byte `offset`; waits up to `wait_s` for something new."""
