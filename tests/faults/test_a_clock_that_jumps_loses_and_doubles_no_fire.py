"""The clock on the wall is set forward, back, and far forward, while people push and a schedule fires every minute."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.scenario import Team, minute
from tests.peers.service_process import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.runner, pytest.mark.slow, pytest.mark.timeout(900)]

HOUR = 3600
# A jump ends so many seconds before the next minute, so that it is soon lived through.
BEFORE_DUE_S = 8


class ShiftedTeam(Team):
    """A team whose service sees a clock on the wall that is off ours; it writes down which times were shown."""

    def __init__(self, folder: Path) -> None:
        self._shift = folder / "shift"
        self._offset = 0.0
        # From, to: without a gap but for jumps. What lies between the ends of a span was shown, or jumped over forward.
        self._lived: list[tuple[float, float]] = []
        self._spans: list[tuple[float, float]] = []
        self._since = self._span_since = time.time()
        super().__init__(folder, seed=3, environment={"GITOPS_CLOCK_FILE": str(self._shift)})

    def clock(self) -> float:
        return time.time() + self._offset

    def jump(self, seconds: float) -> None:
        """Set the clock by about so much, once everything that is due was looked at."""
        self.wait_until_in_step()
        before = self.clock()
        aim = before + seconds
        aim += 60 - BEFORE_DUE_S - aim % 60
        self._write(self._offset + aim - before)
        self._lived.append((self._since, before))
        if aim < before:
            self._spans.append((self._span_since, before))
            self._span_since = aim
        self._since = aim

    def live_through_a_minute(self) -> None:
        until = (self.clock() // 60 + 1) * 60
        wait_for(lambda: self.clock() > until, 61, "a minute to pass")
        self.wait_until_in_step()

    def wait_until_in_step(self) -> None:
        """What is due is looked at, and the next minute is not too near for a look from outside."""
        wait_for(
            lambda: 2 < self._next_due() - self.clock() <= 60, 90, lambda: f"the clock's fires\n{self.service.tail()}"
        )

    def _next_due(self) -> float:
        [schedule] = self.service.all("/schedules")
        return minute(schedule["next_due"]) * 60.0

    def _write(self, offset: float) -> None:
        fresh = self._shift.with_suffix(".new")
        fresh.write_text(f"{offset}\n")
        fresh.replace(self._shift)
        self._offset = offset

    def _due_minutes(self, schedule: Any) -> set[int]:
        """Each that was shown or jumped over; again after the clock was set back, also from before the schedule was there."""
        first, *later = [*self._spans, (self._span_since, self.clock())]
        created = minute(schedule["created_at"]) * 60.0
        return _minutes([(max(created, first[0]), first[1]), *later])

    def _check_fires(self, runs: dict[str, Any]) -> int:
        count = super()._check_fires(runs)
        [schedule] = self.service.all("/schedules")
        fires = self.service.all(f"/schedules/{schedule['id']}/fires")
        missed = {minute(fire["due"]) for fire in fires if fire["state"] == "missed"}
        created = minute(schedule["created_at"])
        first, *later = [*self._lived, (self._since, self.clock())]
        lived = {due for due in _minutes([first]) if due > created} | _minutes(later)
        assert not lived & missed, f"shown by the clock and not fired: {lived & missed}"
        return count


def _minutes(spans: list[tuple[float, float]]) -> set[int]:
    """The full minutes in (from, to]."""
    return {due for start, end in spans for due in range(int(start // 60) + 1, int(end // 60) + 1)}


def test_every_due_minute_has_its_fire_and_pushes_go_on(open_path: Path) -> None:
    team = ShiftedTeam(open_path)
    try:
        team.service.start().wait_ready()
        team.push()
        team.settle()
        for seconds in (2 * HOUR, -3 * HOUR, 24 * HOUR, -3 * HOUR):
            team.jump(seconds)
            team.push()
            team.live_through_a_minute()
            _is_found_by_polling(team)
        team.jump(-1 * HOUR)
        team.service.kill(
            master=True, worker=True
        )  # what it wrote lies ahead of the clock that the next one starts with
        team.service.keep_alive()
        team.push()
        team.live_through_a_minute()
        _is_found_by_polling(team)
        team.settle()
        team.wait_until_in_step()
        print(f"\nfive jumps and a kill: {team.check()}")
    finally:
        team.close()


def _is_found_by_polling(team: Team) -> None:
    """Nothing tells of this push."""
    team.commit()
    wait_for(lambda: team.service.all("/syncs", commit=team.tip or ""), 30, lambda: f"the poll\n{team.service.tail()}")
    team.settle()
