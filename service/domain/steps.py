"""The steps of a run, from its events: what has begun, what came of it, how long it took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class StepState(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNFINISHED = "unfinished"  # the run ended in its middle


@dataclass(frozen=True, slots=True)
class StepEvent:
    """`step.started` or `step.finished`; `at` in epoch seconds."""

    event: str
    step: str
    at: float
    state: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    state: StepState
    duration_s: float | None = None


STARTED, FINISHED = "step.started", "step.finished"


def steps_of(events: Iterable[StepEvent], *, ended: bool) -> tuple[Step, ...]:
    """In the order in which they began. `ended`: the run is over, so that what has no end of its own never gets one."""
    began: dict[str, float] = {}
    steps: dict[str, Step] = {}
    for event in events:
        if event.event == STARTED:
            began[event.step] = event.at
            steps[event.step] = Step(event.step, StepState.UNFINISHED if ended else StepState.RUNNING)
        elif event.event == FINISHED:
            state = StepState.SUCCEEDED if event.state == "succeeded" else StepState.FAILED
            start = began.get(event.step)
            took = None if start is None else round(max(0.0, event.at - start), 3)
            steps[event.step] = Step(event.step, state, took)
    return tuple(steps.values())
