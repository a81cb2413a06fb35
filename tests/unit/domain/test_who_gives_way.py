"""Newest wins, and nothing that is a wish of its own gives way."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain import supersede
from service.domain.projects import Concurrency
from service.domain.states import RunState
from service.domain.supersede import GivesWay, OpenRun

MAIN = "refs/heads/main"


def run(number: int, **others: Any) -> OpenRun:
    usual = {"workflow": "main", "state": RunState.QUEUED, "ref": MAIN, "concurrency": Concurrency.SUPERSEDE}
    return OpenRun(id=f"{number:02}", **(usual | others))


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
