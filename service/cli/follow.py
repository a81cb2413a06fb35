"""Following what goes on: a run's log, or a push through its syncs to the end of its runs.

A service that restarts meanwhile is borne with: what is followed goes on without it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from service.cli import screen
from service.cli.client import Client, bearing
from service.cli.lists import failure
from service.cli.screen import state, took
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
    row = _until(lambda: client.get("runs", id_), lambda r: r["state"] not in OPEN_RUNS, deadline)
    why = row["error"]["message"] if row["error"] else row["reason"]
    tail = f": {why}" if why and row["state"] != "succeeded" else ""
    screen.say(
        "run   ",
        f"{id_} {row['workflow']} of {row['project']} ",
        state(row["state"]),
        f" after {took(row['started_at'], row['ended_at'])}{tail}",
    )
    return row["state"] in GOOD


def delivery(client: Client, id_: str, deadline: float | None) -> bool:
    """Wait for what a delivery leads to, to the end of the last run; whether all of it is good."""
    row = _until(lambda: client.get("deliveries", id_), lambda d: d["outcome"] or d["state"] != "accepted", deadline)
    screen.say(
        "push  ",
        f"{row['repository']} {screen.short_ref(row['ref'])} ",
        state(row["outcome"] or row["state"]),
        f": {row['outcome_reason'] or row['reason']}",
    )
    results = [_sync(client, sync["id"], deadline) for sync in row["syncs"]]
    return (row["outcome"] or row["state"]) in GOOD and all(results)


def _sync(client: Client, id_: str, deadline: float | None) -> bool:
    row = _until(lambda: client.get("syncs", id_), lambda s: s["state"] not in OPEN_SYNCS, deadline)
    why = failure(row) or row["reason"]
    screen.say("sync  ", f"{row['project']} at {row['commit'][:8]} ", state(row["state"]), f": {why}" if why else "")
    good = row["state"] in GOOD
    if row["state"] == "superseded" and row["superseded_by"]:
        return _sync(client, row["superseded_by"], deadline)
    return all([good, *(run(client, planned["id"], deadline) for planned in row["runs"])])


def _until(ask: Callable[[], Row], done: Callable[[Row], object], deadline: float | None) -> Row:
    for _ in _looks():
        row = bearing(ask, screen.note)
        if done(row):
            return row
        if deadline is not None and time.monotonic() > deadline:
            raise GitopsError("it takes longer than --timeout", mend="it goes on; see it by `mlrun-gitops status`")
    raise AssertionError("looks never end")


def _looks() -> Iterator[None]:
    """At once, then with pauses that grow to a second."""
    pause = _LOOK_S
    while True:
        yield
        time.sleep(pause)
        pause = min(1.0, pause * 1.2)
