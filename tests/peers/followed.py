"""One run at a launcher, followed as the reconciler does: what its observations make of it, each once."""

from __future__ import annotations

from typing import Any

from service.domain.runs import Progress, advance
from service.domain.states import ENDED_RUNS, RunState
from service.launchers import Job, Launcher, Observation
from tests.waiting import until


class Followed:
    """`progress` is what the reconciler would know of the run; `seen` is everything that was observed."""

    def __init__(self, launcher: Launcher, job: Job) -> None:
        self.launcher = launcher
        self.job = job
        self.progress = Progress(state=RunState.STARTING)
        self.seen: list[Observation] = []

    def look(self) -> Progress:
        [seen] = self.launcher.observe({self.job.id: self.progress.position}, 0.2)
        self.seen.append(seen)
        step = advance(self.progress, seen, 0.0)
        assert not step.start_again, "it would be started a second time"
        self.progress = step.progress
        return self.progress

    def until(self, state: RunState, seconds: float = 30.0) -> Progress:
        def reached() -> bool:
            now = self.look().state
            assert now is state or now not in ENDED_RUNS, f"{now}: {self.progress.reason}\n{self.log()}"
            return now is state

        until(reached, f"the run is {state}", seconds)
        return self.progress

    def events(self) -> list[dict[str, Any]]:
        return [event for seen in self.seen for event in seen.events]

    def log(self) -> str:
        return self.launcher.logs(self.job.id).text
