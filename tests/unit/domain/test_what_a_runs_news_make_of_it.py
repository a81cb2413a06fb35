"""A run moves on by its events; it ends once, and code that may have run is never run again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain import runs
from service.domain.runs import Progress
from service.domain.states import ENDED_RUNS, RunState
from service.launchers import EndReason, Life, Observation
from service.limits import LAUNCH_STARTS

NOW = 1_700_000_000.0
CLAIMED = {"event": "claimed", "at": "2023-11-14T22:00:00Z", "pid": 7}
STEP = {"event": "step.started", "at": "2023-11-14T22:00:05Z", "step": "train"}
DONE = {"event": "finished", "at": "2023-11-14T22:01:00Z", "state": "succeeded", "results": {"rows": 5}, "error": None}
BROKEN = DONE | {
    "state": "failed",
    "results": {},
    "error": {"type": "ValueError", "message": "no rows", "traceback": "..."},
}
STARTING = Progress(state=RunState.STARTING)


def seen(*events: dict[str, Any], life: Life = Life.ALIVE, **others: Any) -> Observation:
    return Observation(job="r", life=life, position=others.pop("position", 10), events=events, **others)


def at(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


def test_a_run_that_goes_well() -> None:
    began = runs.advance(STARTING, seen(CLAIMED), NOW)
    assert began.progress.state is RunState.RUNNING
    assert began.progress.started_at == at("2023-11-14T22:00:00Z")
    going = runs.advance(began.progress, seen(STEP, position=20), NOW)
    assert (going.progress.state, going.progress.position) == (RunState.RUNNING, 20)
    ended = runs.advance(going.progress, seen(DONE, life=Life.GONE, ended=EndReason.EXITED, exit_code=0), NOW)
    assert ended.progress.state is RunState.SUCCEEDED
    assert ended.progress.results == {"rows": 5}
    assert ended.progress.ended_at == at("2023-11-14T22:01:00Z")


def test_a_run_that_fails_has_the_users_own_error() -> None:
    ended = runs.advance(STARTING, seen(CLAIMED, BROKEN, life=Life.GONE, ended=EndReason.EXITED, exit_code=1), NOW)
    assert ended.progress.state is RunState.FAILED
    assert ended.progress.error == {"type": "ValueError", "message": "no rows", "traceback": "..."}
    assert ended.progress.reason == "no rows"


@pytest.mark.parametrize("life", [Life.GONE, Life.UNKNOWN])
@pytest.mark.parametrize("reason", [EndReason.EXITED, EndReason.KILLED, None])
def test_claimed_and_gone_without_a_word_is_lost(life: Life, reason: EndReason | None) -> None:
    ended = runs.advance(STARTING, seen(CLAIMED, STEP, life=life, ended=reason, exit_code=-9), NOW)
    assert (ended.progress.state, ended.start_again) == (RunState.LOST, False)
    assert ended.progress.started_at == at("2023-11-14T22:00:00Z")
    assert ended.progress.error is not None


@pytest.mark.parametrize("life", [Life.GONE, Life.UNKNOWN])
def test_gone_before_it_was_claimed_is_started_again(life: Life) -> None:
    again = runs.advance(STARTING, seen(life=life, ended=EndReason.KILLED), NOW)
    assert (again.progress.state, again.start_again) == (RunState.STARTING, True)


def test_a_runner_that_never_begins_is_given_up() -> None:
    often = replace(STARTING, starts=LAUNCH_STARTS)
    ended = runs.advance(often, seen(life=Life.GONE, ended=EndReason.EXITED, exit_code=1), NOW)
    assert ended.progress.state is RunState.FAILED
    assert f"{LAUNCH_STARTS} times (exit code 1)" in ended.progress.reason


def test_a_job_that_the_runner_cannot_read_is_not_tried_again() -> None:
    ended = runs.advance(STARTING, seen(life=Life.GONE, ended=EndReason.EXITED, exit_code=2), NOW)
    assert (ended.progress.state, ended.start_again) == (RunState.FAILED, False)


@pytest.mark.parametrize(
    ("cancel", "ended", "state"),
    [
        ("cancelled", EndReason.CANCELLED, RunState.CANCELLED),
        (None, EndReason.CANCELLED, RunState.CANCELLED),
        ("superseded", EndReason.CANCELLED, RunState.SUPERSEDED),
        (None, EndReason.TIMED_OUT, RunState.TIMED_OUT),
        ("cancelled", EndReason.TIMED_OUT, RunState.TIMED_OUT),
        ("cancelled", EndReason.KILLED, RunState.CANCELLED),
    ],
)
@pytest.mark.parametrize("claimed", [True, False])
def test_an_end_that_was_asked_for(cancel: str | None, ended: EndReason, state: RunState, claimed: bool) -> None:
    before = (
        Progress(state=RunState.RUNNING, started_at=1.0, cancel=cancel) if claimed else replace(STARTING, cancel=cancel)
    )
    step = runs.advance(before, seen(life=Life.GONE, ended=ended), NOW)
    assert (step.progress.state, step.start_again) == (state, False)
    assert step.progress.ended_at == NOW


def test_a_cancelled_run_of_which_nothing_is_there_is_not_started_again() -> None:
    step = runs.advance(replace(STARTING, cancel="cancelled"), seen(life=Life.UNKNOWN), NOW)
    assert (step.progress.state, step.start_again) == (RunState.CANCELLED, False)


def test_what_finished_before_it_could_be_cancelled_has_finished() -> None:
    running = Progress(state=RunState.RUNNING, cancel="cancelled")
    assert (
        runs.advance(running, seen(DONE, life=Life.GONE, ended=EndReason.CANCELLED), NOW).progress.state
        is RunState.SUCCEEDED
    )
    assert (
        runs.advance(running, seen(BROKEN, life=Life.GONE, ended=EndReason.CANCELLED), NOW).progress.state
        is RunState.CANCELLED
    )


@pytest.mark.parametrize(
    "event", [{}, {"event": 5, "at": None}, {"event": "finished"}, DONE | {"results": [1]}, BROKEN | {"error": "x"}]
)
def test_an_odd_event_does_no_harm(event: dict[str, Any]) -> None:
    step = runs.advance(STARTING, seen(event), NOW)
    assert step.progress.state in {RunState.RUNNING, RunState.SUCCEEDED, RunState.FAILED}
    assert isinstance(step.progress.results, dict)


@dataclass
class Story:
    """A job's life in one telling, and where it may be cut into observations."""

    events: list[dict[str, Any]]
    life: Life
    ended: EndReason | None
    cancel: str | None
    cuts: list[int] = field(default_factory=list)

    def told(self, cuts: list[int]) -> tuple[Progress, int]:
        progress, again = replace(STARTING, cancel=self.cancel), 0
        edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(self.events)), len(self.events)]
        for begin, end in pairwise(edges):
            last = end == len(self.events)
            part = seen(
                *self.events[begin:end],
                life=self.life if last else Life.ALIVE,
                ended=self.ended if last else None,
                position=end,
            )
            step = runs.advance(progress, part, NOW)
            progress, again = step.progress, again + step.start_again
        return progress, again


stories = st.builds(
    Story,
    events=st.builds(
        lambda begun, steps, end: [*begun, *steps, *end] if begun else [],
        st.sampled_from([[], [CLAIMED], [CLAIMED, {"event": "started", "at": "2023-11-14T22:00:01Z"}]]),
        st.lists(st.just(STEP), max_size=2),
        st.sampled_from([[], [DONE], [BROKEN]]),
    ),
    life=st.sampled_from([Life.GONE, Life.UNKNOWN, Life.ALIVE, Life.STARTING]),
    ended=st.none() | st.sampled_from(EndReason),
    cancel=st.none() | st.sampled_from(["cancelled", "superseded"]),
    cuts=st.lists(st.integers(0, 6), max_size=3),
)


@settings(max_examples=500, deadline=None)
@given(stories)
def test_in_one_telling_or_in_parts_it_is_the_same_story(story: Story) -> None:
    assert story.told(story.cuts)[0] == story.told([])[0]


@settings(max_examples=500, deadline=None)
@given(stories)
def test_a_run_ends_once(story: Story) -> None:
    progress, again = story.told(story.cuts)
    assert (progress.ended_at is not None) == (progress.state in ENDED_RUNS)
    assert not (again and story.events), "code that may have run is never run again"
    after = runs.advance(progress, seen(CLAIMED, DONE, life=Life.GONE), NOW + 1)
    if progress.state in ENDED_RUNS:
        assert after == runs.Step(progress=progress)
