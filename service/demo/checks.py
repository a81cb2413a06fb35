"""What the demo says, as checks: functions of what the API and the handlers said, one a chapter of the story.

Pure, so that a test can feed them wrong answers; the demo says a sentence only after its check held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from service.demo.facts import Outcome, event_of, step_name
from service.demo.sample import ARTIFACTS, MIN_AUC, NAME_ERROR, ROUNDS, SCHEDULE, STEPS, TRACEBACK, Times

_ACCEPTED = 202


@dataclass(frozen=True, slots=True)
class Check:
    """`says` is true if `seen` is `wanted`."""

    says: str
    wanted: Any
    seen: Any

    @property
    def holds(self) -> bool:
        return bool(self.wanted == self.seen)


def first(now: Outcome, times: Times) -> Iterator[Check]:
    """A first push is saved, scheduled and run."""
    yield _acknowledged(now)
    yield from _synced(now)
    yield _one_new_revision(now)
    yield from _ran(now, rounds=ROUNDS[0])
    yield Check(f"its AUC, {_auc(now)}, is below {MIN_AUC}: not accepted", (True, False), _judged(now, below=True))
    yield Check(f"schedule {SCHEDULE} was made: {times}", [("create", times)], _schedules(now))
    yield _is_due(now, times)
    yield _told(now, "config.saved", "schedule.created", "run.succeeded")


def second(now: Outcome, before: Outcome, old: Times, new: Times) -> Iterator[Check]:
    """A parameter and a cron line are changed."""
    yield _acknowledged(now)
    yield from _synced(now)
    yield _one_new_revision(now)
    change = {"path": "project.spec.params.rounds", "action": "change", "before": ROUNDS[0], "after": ROUNDS[1]}
    says = f"the plan changes one thing in it: rounds {ROUNDS[0]} → {ROUNDS[1]}"
    yield Check(says, [change], (now.sync["plan"] or {}).get("changes"))
    yield from _ran(now, rounds=ROUNDS[1])
    better = (now.result("auc") or 0) > (before.result("auc") or 1)
    says = f"the AUC rose from {_auc(before)} to {_auc(now)}: accepted"
    yield Check(says, (True, True, True), (better, *_judged(now, below=False)))
    yield Check(f"schedule {SCHEDULE} moved: {old} → {new}", [("change", new)], _schedules(now))
    yield _is_due(now, new)
    yield _told(now, "config.saved", "schedule.changed", "run.succeeded")


def third(now: Outcome, times: Times) -> Iterator[Check]:
    """The workflow is broken."""
    yield _acknowledged(now)
    yield Check("the sync failed", "failed", now.sync["state"])
    told = (NAME_ERROR in str((now.sync["error"] or {}).get("what")), TRACEBACK in now.traceback)
    yield Check(f"with the user's own traceback: {NAME_ERROR}", (True, True), told)
    yield Check("nothing ran", [], list(now.new_runs))
    says = f"the last good configuration is still in force: {_in_force(now)}"
    yield Check(says, (now.before.in_force, True), (now.after.in_force, now.after.in_force is not None))
    yield Check(f"so is its schedule: {times}", {SCHEDULE: times.cron}, now.after.clock)
    yield _told(now, "sync.failed")


def fourth(now: Outcome, before: Outcome) -> Iterator[Check]:
    """The workflow is mended; `before` is the outcome of the last good push."""
    yield _acknowledged(now)
    yield from _synced(now)
    yield Check("the project's error is gone", None, (now.after.project or {}).get("error", "no project"))
    yield from _ran(now, rounds=ROUNDS[1])
    says = f"the same data and parameters give the same AUC: {_auc(now)}"
    yield Check(says, (True, before.result("auc")), (before.result("auc") is not None, now.result("auc")))
    yield _told(now, "sync.succeeded", "run.succeeded")


def fifth(older: Outcome, newer: Outcome) -> Iterator[Check]:
    """Two pushes, the second before the first was fetched."""
    yield Check(
        "both webhooks were acknowledged", [_ACCEPTED] * 2, [older.webhook.get("status"), newer.webhook.get("status")]
    )
    says = f"of {older.commit[:7]} and {newer.commit[:7]} the newer was synced"
    yield Check(says, (newer.commit, "succeeded"), (newer.sync["commit"], newer.sync["state"]))
    says = f"{older.commit[:7]} is superseded by it, and recorded"
    seen = (older.delivery.get("outcome"), older.sync["state"], older.sync["superseded_by"])
    yield Check(says, ("superseded", "superseded", newer.sync["id"]), seen)
    yield _one_new_revision(newer)
    yield from _ran(newer, rounds=ROUNDS[3])
    yield _told(older, "sync.superseded")
    yield _told(newer, "run.succeeded")


def _acknowledged(now: Outcome) -> Check:
    return Check("the webhook was answered 202: it is on disk", _ACCEPTED, now.webhook.get("status"))


def _synced(now: Outcome) -> Iterator[Check]:
    synced = (now.sync["state"], now.sync["cause"], now.sync["commit"])
    commit = now.after.in_force[1] if now.after.in_force else None
    says = f"the project was synced, and the saved configuration is that of {_in_force(now)}"
    yield Check(says, ("succeeded", "push", now.commit, now.commit), (*synced, commit))


def _one_new_revision(now: Outcome) -> Check:
    says = f"exactly one new revision was made: {(now.sync['revision'] or '')[:8]}"
    return Check(says, [now.sync["revision"]], [one["id"] for one in now.new_revisions])


def _ran(now: Outcome, *, rounds: int) -> Iterator[Check]:
    ran = [(run["workflow"], run["state"], run["commit"]) for run in now.new_runs]
    yield Check("main ran once, on exactly this commit", [("main", "succeeded", now.commit)], ran)
    done = [step_name(one["step"]) for one in now.of("step.finished") if one["state"] == "succeeded"]
    yield Check(f"its steps, in order: {' → '.join(STEPS)}", list(STEPS), done)
    yield Check(f"their artifacts: {', '.join(ARTIFACTS)}", list(ARTIFACTS), [one["key"] for one in now.of("artifact")])
    yield Check(f"the model has the {rounds} trees that are asked for", rounds, now.result("rounds"))


def _judged(now: Outcome, *, below: bool) -> tuple[Any, Any]:
    auc = now.result("auc")
    honest = isinstance(auc, float) and 0.5 < auc < 1 and (auc < MIN_AUC) is below
    return honest, now.result("accepted")


def _schedules(now: Outcome) -> list[tuple[str, Times]]:
    """What the plan did, and what is in force by now."""
    actions = {one["name"]: one["action"] for one in (now.sync["plan"] or {}).get("schedules", [])}
    return [(actions.get(one["name"], ""), Times(one["cron"], one["timezone"])) for one in now.after.schedules]


def _is_due(now: Outcome, times: Times) -> Check:
    """By the calendar, not by the cron rules that computed it."""
    due = _next(now)
    seen = due is not None and (due.hour, due.minute) == times.at and due.weekday() in times.weekdays
    return Check(f"it is due next on {_due(now)}", True, seen)


def _told(now: Outcome, *events: str) -> Check:
    """Both handlers heard, and every message to the listener was signed as it should be."""
    console = {event_of(message) for message in now.console}
    webhook = {message["event"] for message in now.heard}
    seen = ([event for event in events if event in console], [event for event in events if event in webhook])
    return Check(f"both handlers told: {', '.join(events)}", (list(events), list(events), 0), (*seen, now.forged))


def _auc(now: Outcome) -> str:
    auc = now.result("auc")
    return f"{auc:.3f}" if isinstance(auc, float) else "unknown"


def _in_force(now: Outcome) -> str:
    there = now.after.in_force
    return f"{there[1][:7]}" if there else "nothing"


def _next(now: Outcome) -> datetime | None:
    for one in now.after.schedules:
        if one["name"] == SCHEDULE and one["next_due"]:
            return datetime.fromisoformat(one["next_due"]).astimezone(ZoneInfo(one["timezone"]))
    return None


def _due(now: Outcome) -> str:
    due = _next(now)
    return f"{due:%A, %d %B, %H:%M} ({due.tzinfo})" if due else "no day"
