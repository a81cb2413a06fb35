"""Following what goes on: a run's log, or a push through its syncs to the end of its runs.

A service that restarts meanwhile is borne with: what is followed goes on without it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from service.cli import live, screen
from service.cli.client import Client, bearing
from service.cli.lists import failure, stages
from service.cli.screen import dim, state, took
from service.errors import GitopsError

Row = Mapping[str, Any]

_WAIT_S = 20
_LOOK_S = 0.3
OPEN_SYNCS = frozenset({"queued", "syncing"})
OPEN_RUNS = frozenset({"queued", "starting", "running"})
# Ends that are no failure: what gave way to something newer is done by that.
GOOD = frozenset({"succeeded", "superseded", "skipped", "held", "synced", "unchanged", "no-project", "deleted"})


def log(client: Client, run: str, *, follow: bool) -> None:
    """Write it to standard output as it comes."""
    offset = 0
    wait = _WAIT_S if follow else 0
    while True:
        part = bearing(partial(client.get, "runs", run, "log", offset=offset, wait=wait), screen.note)
        sys.stdout.write(part["text"])
        sys.stdout.flush()
        if part["complete"] or (not follow and not part["text"]):
            return
        offset = part["next_offset"]


def run(client: Client, id_: str, deadline: float | None) -> bool:
    """Wait for a run's end; whether it was a good one."""
    with live.following("waiting for the run") as tell:
        return _Follower(client, deadline, tell).run(id_)


def delivery(client: Client, id_: str, deadline: float | None) -> bool:
    """Wait for what a delivery leads to, to the end of the last run; whether all of it is good."""
    with live.following("waiting for the fetch") as tell:
        return _Follower(client, deadline, tell).delivery(id_)


@dataclass(frozen=True, slots=True)
class _Follower:
    """`tell` hears what is waited for at the moment; what is over is a line."""

    client: Client
    deadline: float | None
    tell: live.Tell

    def delivery(self, id_: str) -> bool:
        row = self._until(
            lambda: self.client.get("deliveries", id_), lambda d: d["outcome"] or d["state"] != "accepted"
        )
        screen.say(
            "push  ",
            f"{row['repository']} {screen.short_ref(row['ref'])} ",
            state(row["outcome"] or row["state"]),
            f": {row['outcome_reason'] or row['reason']}",
        )
        results = [self.sync(sync["id"]) for sync in row["syncs"]]
        return (row["outcome"] or row["state"]) in GOOD and all(results)

    def sync(self, id_: str) -> bool:
        row = self._until(
            lambda: self.client.get("syncs", id_),
            lambda s: s["state"] not in OPEN_SYNCS,
            lambda s: f"sync of {s['project']} at {s['commit'][:8]} {s['state']}",
        )
        why = failure(row) or row["reason"]
        screen.say(
            "sync  ", f"{row['project']} at {row['commit'][:8]} ", state(row["state"]), f": {why}" if why else ""
        )
        if row["timings"]:
            screen.say(dim(stages(row["timings"])), indent=6)
        if row["error"]:
            screen.say(row["error"]["mend"] or f"see `mlrun-gitops syncs {id_}`", indent=6)
        good = row["state"] in GOOD
        if row["state"] == "superseded" and row["superseded_by"]:
            return self.sync(row["superseded_by"])
        return all([good, *(self.run(planned["id"]) for planned in row["runs"])])

    def run(self, id_: str) -> bool:
        steps = _Steps(self.client, id_)
        row = self._until(
            lambda: self.client.get("runs", id_),
            lambda r: r["state"] not in OPEN_RUNS,
            lambda r: f"{r['workflow']} of {r['project']} {steps.now or r['state']}",
            steps.look,
        )
        why = row["error"]["message"] if row["error"] else row["reason"]
        tail = f": {why}" if why and row["state"] != "succeeded" else ""
        screen.say(
            "run   ",
            f"{id_} {row['workflow']} of {row['project']} ",
            state(row["state"]),
            f" after {took(row['started_at'], row['ended_at'])}{tail}",
        )
        if row["state"] not in GOOD:
            for verb in ("runs", "logs"):
                screen.say(f"see `mlrun-gitops {verb} {id_}`", indent=6)
        return row["state"] in GOOD

    def _until(
        self,
        ask: Callable[[], Row],
        done: Callable[[Row], object],
        doing: Callable[[Row], str] | None = None,
        each: Callable[[], None] = lambda: None,
    ) -> Row:
        for _ in looks():
            row = bearing(ask, screen.note)
            each()
            if done(row):
                return row
            if doing:
                self.tell(doing(row))
            if self.deadline is not None and time.monotonic() > self.deadline:
                raise GitopsError("it takes longer than --timeout", mend="it goes on; see it by `mlrun-gitops status`")
        raise AssertionError("looks never end")


@dataclass(slots=True)
class _Steps:
    """The steps of a run: a line for each that ended; `now` says which one goes on."""

    client: Client
    run: str
    now: str = ""
    _after: int = -1
    _begun: dict[str, str] = field(default_factory=dict)

    def look(self) -> None:
        page = bearing(lambda: self.client.get("runs", self.run, "events", after=self._after), screen.note)
        for event in page["items"]:
            self._after = event["position"]
            name = str(event["data"].get("step") or "")
            if event["event"] == "step.started":
                self.now = f"at {name}"
                self._begun[name] = event["at"]
            elif event["event"] == "step.finished":
                self.now = ""
                said = took(self._begun.get(name), event["at"])
                screen.say("step  ", f"{name} ", state(event["data"].get("state")), f" after {said}")


def looks() -> Iterator[None]:
    """At once, then with pauses that grow to a second."""
    pause = _LOOK_S
    while True:
        yield
        time.sleep(pause)
        pause = min(1.0, pause * 1.2)
