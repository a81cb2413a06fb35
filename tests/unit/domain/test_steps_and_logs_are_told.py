from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import messages
from service.domain.events import Topic
from service.domain.log_tail import LINE_CHARACTERS, LINES, log_tail
from service.domain.messages import RunFacts, Where
from service.domain.states import RunState
from service.domain.steps import Step, StepEvent, StepState, steps_of

EVENTS = [
    StepEvent("step.started", "generate", 10.0),
    StepEvent("step.finished", "generate", 12.5, "succeeded"),
    StepEvent("step.started", "train", 13.0),
    StepEvent("step.started", "plot", 13.5),
    StepEvent("step.finished", "plot", 14.0, "failed"),
]


def test_steps_are_told_in_the_order_in_which_they_began() -> None:
    assert steps_of(EVENTS, ended=False) == (
        Step("generate", StepState.SUCCEEDED, 2.5),
        Step("train", StepState.RUNNING),
        Step("plot", StepState.FAILED, 0.5),
    )


def test_a_step_in_whose_middle_the_run_ended_never_ends() -> None:
    assert steps_of(EVENTS, ended=True)[1] == Step("train", StepState.UNFINISHED)


def test_an_end_without_a_beginning_and_a_clock_that_went_back_do_no_harm() -> None:
    found = steps_of([StepEvent("step.finished", "a", 5.0, "succeeded")], ended=False)
    assert found == (Step("a", StepState.SUCCEEDED, None),)
    back = [StepEvent("step.started", "a", 5.0), StepEvent("step.finished", "a", 4.0, "succeeded")]
    assert steps_of(back, ended=False)[0].duration_s == 0.0


def progress(*events: StepEvent) -> messages.Content:
    facts = RunFacts(id="r1", workflow="main", state=RunState.RUNNING, steps=steps_of(events, ended=False))
    return messages.of_run(Topic.RUN_PROGRESS, Where(project="fraud"), facts)


def test_progress_is_told_once_for_each_count_and_says_where_it_is() -> None:
    told = [progress(*EVENTS[: count + 1]) for count in range(len(EVENTS))]
    assert len({content.key for content in told}) == len(EVENTS)
    assert progress(*EVENTS[:3]).key == told[2].key
    assert told[0].title == "main of fraud goes on: generate runs"
    assert told[2].title == "main of fraud goes on: 1 step done, train runs"
    assert told[4].title == "main of fraud goes on: 2 steps done, train runs"


def test_of_very_many_steps_the_last_are_told_and_the_rest_is_counted() -> None:
    facts = RunFacts(
        id="r1", workflow="w", state=RunState.RUNNING, steps=[Step(f"s{n}", StepState.SUCCEEDED) for n in range(500)]
    )
    run = messages.of_run(Topic.RUN_PROGRESS, Where(project="fraud"), facts).run
    assert run is not None
    assert (run["steps"][-1]["name"], len(run["steps"]) + run["steps_left_out"]) == ("s499", 500)
    assert run["steps_left_out"] > 0


def test_of_a_log_the_last_lines_are_shown() -> None:
    text = "".join(f"line {n}\n" for n in range(100)) + "\n\n"
    assert log_tail(text).split("\n") == [f"line {n}" for n in range(100 - LINES, 100)]
    assert log_tail("") == ""
    assert len(log_tail("x" * 10_000)) == LINE_CHARACTERS
    assert len(log_tail("x" * 1_000_000)) == LINE_CHARACTERS
    assert log_tail("epoch 1\repoch 2\repoch 3\ndone") == "epoch 3\ndone"


@pytest.mark.parametrize(
    "line",
    [
        "GET https://ada:hunter2@example.com/x: 401",
        "db_password=hunter2 rows=5",
        "DB_PASSWORD: 'hunter2'",
        '{"api_key": "hunter2", "rows": 5}',
        "connect(user='ada', password=\"hunter2 and more\")",
        "Authorization: Bearer hunter2hunter2",
        "AWS_SECRET_ACCESS_KEY=hunter2",
        "token = hunter2",
        "train.py --token=hunter2",
        "2token=hunter2",
    ],
)
def test_what_looks_like_a_secret_is_not_shown(line: str) -> None:
    assert "hunter2" not in log_tail(f"before\n{line}\nafter")
    assert log_tail(f"before\n{line}\nafter").endswith("\nafter")


def test_what_is_none_is_left_alone() -> None:
    line = "rows=5, max_tokens=100, loss: 0.25, url=https://example.com/x?y=1"
    assert log_tail(line) == line


@given(st.text(max_size=2000))
def test_any_text_has_an_end_of_bounded_size(text: str) -> None:
    shown = log_tail(text)
    assert shown.count("\n") < LINES
    assert all(len(line) <= LINE_CHARACTERS for line in shown.split("\n"))
