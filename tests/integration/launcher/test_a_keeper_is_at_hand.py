"""Keepers that were started before there is a job: used, replaced when they are killed, and gone with the launcher."""

from __future__ import annotations

import os
import signal

import pytest

from service import limits
from service.launchers import EndReason
from tests.integration.launcher.conftest import Bench, gone
from tests.waiting import until

CODE = "import os\nevents.emit('keeper', pid=os.getppid())\n"


@pytest.fixture(autouse=True)
def ready(bench: Bench) -> None:
    bench.launcher._keepers.keep_ready()


def at_hand(bench: Bench) -> list[int]:
    """All of them, the next one first."""
    keepers = bench.launcher._keepers
    until(lambda: len(keepers._at_hand) == limits.KEEPERS, "keepers at hand")
    return [keeper.process.pid for keeper in keepers._at_hand]


def keeper_of(bench: Bench, job: str) -> int:
    told = bench.follow(job)
    assert told.end.ended is EndReason.EXITED
    (pid,) = [event["pid"] for event in told.events if event["event"] == "keeper"]
    assert isinstance(pid, int)
    return pid


def test_those_at_hand_get_the_jobs_in_a_row_and_are_replaced(bench: Bench) -> None:
    ready = at_hand(bench)
    jobs = [bench.start(CODE) for _ in ready]
    assert [keeper_of(bench, job) for job in jobs] == ready
    assert not set(at_hand(bench)) & set(ready)


def test_jobs_that_come_all_at_once_need_not_wait_for_one(bench: Bench) -> None:
    at_hand(bench)
    jobs = [bench.start(CODE) for _ in range(4)]
    assert len({keeper_of(bench, job) for job in jobs}) == 4


def test_one_that_was_killed_while_it_waited_costs_no_job(bench: Bench) -> None:
    victim, other = at_hand(bench)
    os.kill(victim, signal.SIGKILL)
    until(lambda: gone(victim), "the keeper to be gone")
    assert keeper_of(bench, bench.start(CODE)) == other


def test_none_is_left_when_the_launcher_closes(bench: Bench) -> None:
    waiting = at_hand(bench)
    bench.launcher.close()
    assert all(map(gone, waiting))
    assert keeper_of(bench, bench.start(CODE)) not in waiting
    assert not bench.launcher._keepers._at_hand
