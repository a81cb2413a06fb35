"""SIGSTOP for longer than a lease: everything that was at work finds its time over, and goes on as if it had been asleep."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from service import limits
from tests.faults.scenario import Team
from tests.peers.service_process import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.runner, pytest.mark.slow, pytest.mark.timeout(900)]

STOPPED_S = limits.LEASE_S + 5


@pytest.mark.parametrize(("point", "also_master"), [("launch.before-ensure", False), ("sync.planned", True)])
def test_pushes_and_due_minutes_of_a_stopped_minute_are_made_up_for(
    open_path: Path, point: str, also_master: bool
) -> None:
    """It stops in the middle of claimed work; pushes are told before, meanwhile (in vain) and after."""
    team = Team(open_path, seed=1)
    try:
        team.service.start().wait_ready()
        team.push()
        team.settle()  # so that the schedule is in force
        team.armed.write_text(f"{point}:1:STOP")
        team.push()
        (worker,) = team.service.workers()
        wait_for(lambda: _is_stopped(worker), 60, f"the worker to stop at {point}")
        stopped = [worker, *([team.service.master] if also_master else [])]
        until = time.monotonic() + STOPPED_S
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        hook = team.commit()
        attempts = 0
        while time.monotonic() < until:
            assert team.deliver(hook) is None, "a stopped service acknowledged"
            attempts += 1
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)
        team.announce(hook)
        team.push()
        team.settle()
        assert team.service.workers() == [worker], "being stopped is no reason to end"
        print(f"\nstopped at {point} for {STOPPED_S:.0f} s, {attempts} deliveries in vain: {team.check()}")
    finally:
        team.close()


def _is_stopped(pid: int) -> bool:
    """`T` in the field behind the name, which stands in brackets."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
