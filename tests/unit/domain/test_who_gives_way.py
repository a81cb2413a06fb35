"""Newest wins, and nothing that is a wish of its own gives way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import supersede
from service.domain.projects import Concurrency
from service.domain.states import ACTIVE_RUNS, RunState
from service.domain.supersede import GivesWay, OpenRun, QueuedSync

MAIN = "refs/heads/main"


def run(number: int, **others: Any) -> OpenRun:
    usual = {"workflow": "main", "state": RunState.QUEUED, "ref": MAIN, "concurrency": Concurrency.SUPERSEDE}
    return OpenRun(id=f"{number:02}", **(usual | others))


def test_of_queued_syncs_the_newest_is_done_and_tags_stay() -> None:
    syncs = [
        QueuedSync(id="a", seq=1, ref=MAIN),
        QueuedSync(id="b", seq=3, ref=MAIN),
        QueuedSync(id="c", seq=2, ref=MAIN),
        QueuedSync(id="t1", seq=4, ref="refs/tags/v1"),
        QueuedSync(id="t2", seq=5, ref="refs/tags/v1"),
        QueuedSync(id="o", seq=6, ref="refs/heads/other"),
    ]
    assert supersede.superseded_syncs(syncs) == {"a": "b", "c": "b"}
    assert supersede.superseded_syncs([]) == {}


@pytest.mark.parametrize(
    ("new", "other", "outcome"),
    [
        ({}, {}, GivesWay(superseded=("01",))),
        ({}, {"workflow": "train"}, GivesWay()),
        ({}, {"state": RunState.RUNNING}, GivesWay()),
        ({}, {"asked": True}, GivesWay()),
        ({}, {"ref": "refs/tags/v1"}, GivesWay()),
        ({}, {"schedule": "nightly"}, GivesWay()),
        ({"schedule": "nightly"}, {}, GivesWay()),
        ({"schedule": "nightly"}, {"schedule": "nightly"}, GivesWay(superseded=("01",))),
        ({"concurrency": Concurrency.QUEUE}, {}, GivesWay()),
        ({"concurrency": Concurrency.CANCEL_RUNNING}, {}, GivesWay(superseded=("01",))),
        ({"concurrency": Concurrency.CANCEL_RUNNING}, {"state": RunState.RUNNING}, GivesWay(cancelled=("01",))),
        ({"concurrency": Concurrency.CANCEL_RUNNING}, {"state": RunState.STARTING}, GivesWay(cancelled=("01",))),
        ({"concurrency": Concurrency.CANCEL_RUNNING}, {"state": RunState.RUNNING, "asked": True}, GivesWay()),
        ({"concurrency": Concurrency.CANCEL_RUNNING}, {"state": RunState.RUNNING, "workflow": "x"}, GivesWay()),
    ],
)
def test_what_a_new_run_does_to_another(new: dict[str, Any], other: dict[str, Any], outcome: GivesWay) -> None:
    assert supersede.gives_way(run(2, **new), [run(1, **other), run(2, **new)]) == outcome


open_runs = st.lists(
    st.builds(
        run,
        st.integers(0, 50),
        workflow=st.sampled_from(["main", "train"]),
        state=st.sampled_from([RunState.QUEUED, RunState.RUNNING, RunState.STARTING]),
    ),
    max_size=8,
    unique_by=lambda one: one.id,
)


@given(open_runs, st.integers(0, 4))
def test_one_run_a_workflow_is_active_and_the_oldest_goes_first(runs: list[OpenRun], room: int) -> None:
    turn = supersede.next_to_start(runs, room)
    assert len(turn) <= room
    by_id = {one.id: one for one in runs}
    busy = [one.workflow for one in runs if one.state in ACTIVE_RUNS]
    chosen = [by_id[one].workflow for one in turn]
    assert len(set(chosen)) == len(chosen)
    assert not set(chosen) & set(busy)
    for one in turn:
        older = [r for r in runs if r.state is RunState.QUEUED and r.workflow == by_id[one].workflow and r.id < one]
        assert not older
    waiting = {r.workflow for r in runs if r.state is RunState.QUEUED} - set(busy)
    assert len(turn) == min(room, len(waiting))
