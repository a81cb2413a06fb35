"""Three replicas on PostgreSQL, while the one that keeps the clock dies, sleeps or is cut off, and the database goes and comes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.replicas.replicas import Replicas
from tests.faults.scenario import Hook, Team, nap
from tests.peers.forge import deliver
from tests.peers.postgres import Postgres
from tests.peers.service_process import ServiceProcess, wait_for

pytestmark = [
    pytest.mark.faults,
    pytest.mark.runner,
    pytest.mark.postgres,
    pytest.mark.slow,
    pytest.mark.timeout(5400),
]

# How soon another one goes on where a replica was lost.
FAILOVER_S = 15.0
# The database is looked at so often while this is waited for.
_LOOK_S = 0.1
_IN_FORCE = "SELECT s.commit FROM projects p JOIN syncs s ON s.id = p.in_force_sync WHERE p.name = 'team'"


class ReplicatedTeam(Team):
    """A team whose service is three; what is in force is written down as it changes."""

    def __init__(self, folder: Path, seed: int, server: Postgres) -> None:
        self.server = server
        self.in_force: list[str] = []
        self.failovers: list[float] = []
        self._ended = threading.Event()
        settings = {"launcher": {"runs_dir": str(folder / "runs")}, "server": {"drain": 0}}
        super().__init__(folder, seed, settings=settings)
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def _serve(self, folder: Path, config: dict[str, Any], environment: dict[str, str]) -> ServiceProcess:
        self.replicas = Replicas(folder, config, environment, self.server)
        return self.replicas

    def start(self) -> None:
        self.replicas.start().wait_ready()
        self._watching.start()

    def close(self) -> None:
        self._ended.set()
        super().close()

    def announce(self, hook: Hook, seconds: float = 180) -> None:
        super().announce(hook, seconds)

    def deliver(self, hook: Hook) -> int | None:
        replica = self.replicas.one()
        answer = None if replica is None else deliver(replica.http, "team", *hook)
        if answer is None:
            self.replicas.keep_alive()
            return None
        if answer.status_code == 202:
            self.acknowledged.append(answer.json()["delivery"])
        return answer.status_code

    def leader(self) -> int:
        """Who keeps the clock now."""
        found: list[int] = []

        def known() -> bool:
            found[:] = [leader for leader in [self.replicas.leader()] if leader is not None]
            return bool(found)

        wait_for(known, 60, lambda: f"somebody to keep the clock\n{self.replicas.tail()}")
        return found[0]

    def wait_for_another(self, than: int) -> None:
        """Somebody else goes on in time."""
        began = time.monotonic()
        while self.replicas.leader() in (None, than):
            assert time.monotonic() - began <= FAILOVER_S, f"nobody else keeps the clock\n{self.replicas.tail()}"
            nap(_LOOK_S)
        self.failovers.append(time.monotonic() - began)

    def check(self) -> dict[str, int]:
        counted = super().check()
        assert counted["lost"] == 0, "nothing was done to any runner"
        markers = [self.markers[commit] for commit in self.in_force]
        assert markers == sorted(markers), f"an older revision was in force after a newer one: {markers}"
        ordered = sorted(self.replicas.all("/syncs", state="succeeded"), key=lambda sync: sync["ended_at"])
        saved = [self.markers[sync["commit"]] for sync in ordered]
        assert saved == sorted(saved), f"an older revision was saved after a newer one: {saved}"
        return {**counted, "in force": len(self.in_force)}

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_S):
            try:
                found = self.replicas.query(_IN_FORCE)
            except psycopg.Error:
                continue  # it is away, which is a part of the test
            if found and self.in_force[-1:] != [found[0][0]]:
                self.in_force.append(found[0][0])


def _kill(team: ReplicatedTeam) -> None:
    leader = team.leader()
    team.replicas.stopped.add(leader)
    team.replicas.all_of_them[leader].kill(master=True, worker=True)
    team.wait_for_another(leader)
    team.replicas.stopped.discard(leader)


def _stop_and_wake(team: ReplicatedTeam) -> None:
    leader = team.leader()
    replica = team.replicas.all_of_them[leader]
    team.replicas.stopped.add(leader)
    replica.signal(signal.SIGSTOP)
    try:
        team.wait_for_another(leader)
        nap(team.random.uniform(0, 2))
    finally:
        replica.signal(signal.SIGCONT)
        team.replicas.stopped.discard(leader)


def _restart_database(team: ReplicatedTeam) -> None:
    team.server.stop()
    try:
        nap(team.random.uniform(0, 2))
    finally:
        team.server.start()


def _cut_off(team: ReplicatedTeam) -> None:
    """What it sends goes nowhere, and nobody tells it."""
    leader = team.leader()
    wire = team.replicas.all_of_them[leader].wire
    wire.cut()
    try:
        team.wait_for_another(leader)
        nap(team.random.uniform(0, 5))
    finally:
        wire.mend()


def _refuse_all(team: ReplicatedTeam) -> None:
    for replica in team.replicas.all_of_them:
        replica.wire.refuse()
    nap(team.random.uniform(0, 3))
    for replica in team.replicas.all_of_them:
        replica.wire.mend()


FAULTS: tuple[Callable[[ReplicatedTeam], None], ...] = (
    _kill,
    _stop_and_wake,
    _restart_database,
    _cut_off,
    _refuse_all,
)


def test_pushes_survive_the_loss_of_whoever_leads_and_of_the_database(open_path: Path, faults: int) -> None:
    """PUSHES of them, five a fault where nobody says otherwise; those of a fault are made while it lasts."""
    pushes = int(os.environ.get("PUSHES", "0")) or 5 * faults
    with Postgres() as server:
        team = ReplicatedTeam(open_path, seed=faults, server=server)
        try:
            team.start()
            team.push()
            team.settle()
            for number in range(faults):
                share = pushes * (number + 1) // faults - pushes * number // faults
                _hurt_while_pushed(team, FAULTS[number % len(FAULTS)], share)
            team.replicas.keep_alive()
            team.replicas.wait_ready()
            team.settle()
            longest = max(team.failovers, default=0.0)
            print(f"\n{pushes} pushes, {faults} faults, taken over within {longest:.1f} s: {team.check()}")
        finally:
            team.close()


def _hurt_while_pushed(team: ReplicatedTeam, hurt: Callable[[ReplicatedTeam], None], pushes: int) -> None:
    failed: list[BaseException] = []

    def push() -> None:
        try:
            for _ in range(pushes):
                team.push()
                nap(team.random.uniform(0, 0.5))
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failed.append(error)

    pushing = threading.Thread(target=push)
    pushing.start()
    nap(team.random.uniform(0, 2))
    hurt(team)
    pushing.join()
    if failed:
        raise failed[0]
