"""The kill loop: real pushes while the service's processes are killed, and what is true afterwards."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.faults.scenario import Team, nap, warm_parents

pytestmark = [pytest.mark.faults, pytest.mark.runner, pytest.mark.slow, pytest.mark.timeout(3600)]

# Between launch and record, and on both sides of every commit.
CRASH_POINTS = (
    "store.before-commit",
    "store.after-commit",
    "launcher.before-start",
    "launcher.after-start",
    "launch.before-ensure",
    "launch.after-ensure",
    "watch.before-record",
    "watch.after-record",
    "sync.planned",
    "sync.applied",
    "notifier.before-send",
    "notifier.before-record",
)


def test_pushes_survive_kills_of_every_process(open_path: Path, faults: int) -> None:
    team = Team(open_path, seed=faults)
    try:
        team.service.start().wait_ready()
        team.push()
        for number in range(faults):
            _hurt(team, number)
            team.push()
            if team.random.random() < 0.3:
                team.settle()
        team.service.keep_alive()
        team.armed.unlink(missing_ok=True)
        team.settle()
        print(f"\n{faults} faults: {team.check()}")
    finally:
        team.close()


def _hurt(team: Team, number: int) -> None:
    """One fault: every third by a crash point, the others at a random moment."""
    if number % 3 == 0:
        point = team.random.choice(CRASH_POINTS)
        times = team.random.randint(1, 30) if point.startswith("store.") else 1
        team.armed.write_text(f"{point}:{times}")
        return
    nap(team.random.uniform(0, 2.0))
    victim = team.random.choice(["master", "worker", "both", "parent"])
    if victim == "parent":
        for pid in warm_parents(team):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    else:
        team.service.kill(master=victim in ("master", "both"), worker=victim in ("worker", "both"))
    team.service.keep_alive()
