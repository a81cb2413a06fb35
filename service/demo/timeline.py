"""How long each stage of a push took, from `git push` to the end of its run. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from service.demo.facts import Outcome


@dataclass(frozen=True, slots=True)
class Stage:
    """Seconds since `git push` began."""

    name: str
    begins: float
    ends: float

    @property
    def took(self) -> float:
        return self.ends - self.begins


@dataclass(frozen=True, slots=True)
class Timeline:
    stages: tuple[Stage, ...]
    first_step: float | None
    done: float


def of(outcome: Outcome) -> Timeline:
    """From the forge's record of the webhook, the sync's times and the run's events, all by this machine's clock."""
    sent, took, timings = outcome.webhook["sent_at"], outcome.webhook["took_s"], outcome.sync["timings"]
    ended = _time(outcome.sync["ended_at"])
    saved = timings.get("apply", 0.0)
    planned = timings.get("plan", 0.0)
    fetched = max(_time(outcome.sync["created_at"]), sent + took)
    loaded = max(ended - saved - planned, fetched)
    found = [("push", outcome.pushed_at, sent), ("webhook", sent, sent + took), ("fetch", sent + took, fetched)]
    found += [("load", max(loaded - timings.get("load", loaded - fetched), fetched), loaded)]
    if outcome.sync["state"] == "succeeded":
        found += [("plan", loaded, ended - saved), ("save", ended - saved, ended)]
    steps = [_time(one["at"]) for one in outcome.of("step.started")]
    over = [_time(one["at"]) for one in outcome.of("finished")]
    if steps and over:
        found += [("start", ended, steps[0]), ("steps", steps[0], over[0])]
    stages = tuple(Stage(name, a - outcome.pushed_at, b - outcome.pushed_at) for name, a, b in found)
    return Timeline(stages, steps[0] - outcome.pushed_at if steps else None, stages[-1].ends)


def _time(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
