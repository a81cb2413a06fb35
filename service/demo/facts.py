"""What is known once a push has come to its end: answers of the API, and what both handlers were told.

Plain data, so that what is checked (`checks`) and shown is a function of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

_MESSAGE = re.compile(r"^(?=\[(?:info|warning|error)\] )", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The project as the API shows it at one moment; None and nothing before the first push. Lists are oldest first."""

    project: Json | None = None
    revisions: tuple[Json, ...] = ()
    schedules: tuple[Json, ...] = ()
    runs: tuple[Json, ...] = ()

    @property
    def in_force(self) -> tuple[str, str] | None:
        """Revision and commit of the saved configuration."""
        there = self.project["in_force"] if self.project else None
        return (there["revision"], there["commit"]) if there else None

    @property
    def clock(self) -> dict[str, str]:
        """Name → cron line of the schedules in force."""
        return {one["name"]: one["cron"] for one in self.schedules}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of the push of `commit`.

    `webhook` is the forge's record of its delivery; `delivery`, `sync`, `runs` (those it planned) and `events` (of its
    first run) are the API's; `console` the console handler's messages about it as text, `heard` the webhook handler's as data.
    `pushed_at` is when `git push` began.
    """

    commit: str
    pushed_at: float
    webhook: Json
    delivery: Json
    sync: Json
    events: tuple[Json, ...] = ()
    before: State
    after: State
    console: tuple[str, ...] = ()
    heard: tuple[Json, ...] = ()
    forged: int = 0

    @property
    def runs(self) -> tuple[Json, ...]:
        return tuple(self.sync["runs"])

    @property
    def new_runs(self) -> tuple[Json, ...]:
        known = {run["id"] for run in self.before.runs}
        return tuple(run for run in self.after.runs if run["id"] not in known)

    @property
    def new_revisions(self) -> tuple[Json, ...]:
        known = {revision["id"] for revision in self.before.revisions}
        return tuple(revision for revision in self.after.revisions if revision["id"] not in known)

    def result(self, name: str) -> Any:
        """A step's result by its name, whichever step it is of; None where there is none."""
        steps = (self.runs[0]["results"] or {}) if self.runs else {}
        return next((step[name] for step in steps.values() if isinstance(step, Mapping) and name in step), None)

    def of(self, event: str) -> list[Json]:
        """The first run's events of one kind."""
        return [one["data"] | {"at": one["at"]} for one in self.events if one["event"] == event]

    @property
    def traceback(self) -> str:
        return str((self.sync["error"] or {}).get("detail", ""))


def messages(text: str) -> list[str]:
    """The console handler's messages, one by one."""
    return [message.rstrip() for message in _MESSAGE.split(text) if message.strip()]


def event_of(message: str) -> str:
    """`[info] run.succeeded main of ...` → run.succeeded."""
    return message.split(maxsplit=2)[1]


def step_name(name: str) -> str:
    """MLRun calls the handler `train` of the function `train` train-train."""
    first, _, second = name.partition("-")
    return first if first == second else name
