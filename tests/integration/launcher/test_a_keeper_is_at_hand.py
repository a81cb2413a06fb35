"""Keepers that were started before there is a job: used, replaced when they are killed, and gone with the launcher."""

from __future__ import annotations

import os
import signal

from service.launchers import EndReason
from tests.integration.launcher.conftest import Bench, gone, wait_for

CODE = "import os\nevents.emit('keeper', pid=os.getppid())\n"


def at_hand(bench: Bench) -> int:
    keepers = bench.launcher._keepers
    keepers.keep_one()
    wait_for(lambda: keepers._at_hand, "a keeper at hand")
    assert keepers._at_hand is not None
    return keepers._at_hand.process.pid


def keeper_of(bench: Bench, job: str) -> int:
    told = bench.follow(job)
    assert told.end.ended is EndReason.EXITED
    (pid,) = [event["pid"] for event in told.events if event["event"] == "keeper"]
    assert isinstance(pid, int)
    return pid


def test_the_one_at_hand_gets_the_job_and_the_next_one_is_started(bench: Bench) -> None:
    first = at_hand(bench)
    assert keeper_of(bench, bench.start(CODE)) == first
    assert at_hand(bench) != first


def test_jobs_that_come_all_at_once_need_not_wait_for_one(bench: Bench) -> None:
    at_hand(bench)
    jobs = [bench.start(CODE) for _ in range(4)]
    assert len({keeper_of(bench, job) for job in jobs}) == 4


def test_one_that_was_killed_while_it_waited_costs_no_job(bench: Bench) -> None:
    victim = at_hand(bench)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: gone(victim), "the keeper to be gone")
    assert keeper_of(bench, bench.start(CODE)) != victim


def test_none_is_left_when_the_launcher_closes(bench: Bench) -> None:
    waiting = at_hand(bench)
    bench.launcher.close()
    assert gone(waiting)
    assert keeper_of(bench, bench.start(CODE)) != waiting
    assert bench.launcher._keepers._at_hand is None
