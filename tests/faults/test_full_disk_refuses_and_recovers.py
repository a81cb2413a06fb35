"""A disk that fills up while people push: refused instead of lost, and made up for without a restart."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service import limits
from tests.faults.scenario import Team, nap
from tests.peers.forge import push_payload, signed
from tests.peers.service_process import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.runner, pytest.mark.slow, pytest.mark.timeout(900)]

DISK = "64m"
ROUNDS = 3
# Deliveries until the write-ahead log has no place left that it could write over.
ATTEMPTS = 500
# Before it fills up, so that the log has some, and what is acknowledged meets a disk that is full for everything else.
REDELIVERIES = 50
FULL = "No space left|disk is full"


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of its own for what the service writes; never under pytest's folders, which are removed by walking."""
    if os.geteuid() != 0:
        pytest.skip("peer missing: a small disk: only root may mount one")
    folder = Path(tempfile.mkdtemp(prefix="gitops-disk-", dir="/var/tmp"))
    try:
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "gitops-test", str(folder)]
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"peer missing: a small disk: {mounted.stderr.strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
    finally:
        folder.rmdir()


class Ballast:
    """A file that takes every byte there is."""

    def __init__(self, disk: Path) -> None:
        self._file = disk / "ballast"

    def fill(self) -> None:
        with self._file.open("ab", buffering=0) as file:
            for size in (limits.MIB, 4 * limits.KIB):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        self._file.unlink(missing_ok=True)


def test_a_full_disk_refuses_deliveries_and_everything_converges_when_there_is_space_again(
    open_path: Path, small_disk: Path
) -> None:
    """Data, spool, jobs and even the log lie on that disk."""
    team = Team(open_path, seed=2, disk=small_disk, may_fail=FULL)
    ballast = Ballast(small_disk)
    answers: Counter[int | None] = Counter()
    try:
        team.service.start().wait_ready()
        hook = team.commit()
        team.announce(hook)
        team.settle()
        workers = team.service.workers()
        for _ in range(ROUNDS):
            for _ in range(REDELIVERIES):
                assert team.deliver(hook) == 202
            team.push()
            nap(team.random.uniform(0, 1.5))  # so that it fills up during a fetch, a load, a run
            ballast.fill()
            hook = team.commit()
            for _ in range(ATTEMPTS):
                answers[status := team.deliver(hook)] += 1
                ballast.fill()  # what was let go meanwhile
                if status == 503:
                    break
            assert status == 503, f"nothing was refused: {answers}"
            assert _large_delivery(team) == 503
            _assert_up(team)
            nap(5)  # what is tried again meets the full disk again
            _assert_up(team)
            ballast.free()
            team.announce(hook)
            team.settle()
        assert team.service.workers() == workers, "the service restarted"
        assert not list((team.service.data_dir / "spool").glob("*")), "a refused body lies around"
        print(f"\n{ROUNDS} times full, answers {dict(answers)}: {team.check()}")
    finally:
        ballast.free()
        team.close()


def test_a_full_disk_of_jobs_is_told_and_a_sync_goes_on_when_there_is_space_again(
    open_path: Path, small_disk: Path
) -> None:
    """The store has space, so that everything is tried again and again in vain."""
    team = Team(open_path, seed=3, settings={"launcher": {"runs_dir": str(small_disk / "runs")}}, may_fail=FULL)
    ballast = Ballast(small_disk)
    try:
        team.service.start().wait_ready()
        team.push()
        team.settle()
        ballast.fill()
        team.push()
        wait_for(lambda: _is_told_of_failure(team), 120, lambda: f"the trouble to be told\n{team.service.tail()}")
        (sync,) = team.service.all("/syncs", commit=team.tip or "")
        assert re.search(FULL, sync["error"]["what"]), sync["error"]
        ballast.free()
        team.settle()
        print(f"\nfull until it was told: {team.check()}")
    finally:
        ballast.free()
        team.close()


def _is_told_of_failure(team: Team) -> bool:
    told = [m["commit"] for m in team.recorder.received.values() if m["event"] == "sync.failed" and m["commit"]]
    return team.tip in [commit["sha"] for commit in told]


def _large_delivery(team: Team) -> int | None:
    """One whose body would have to be spooled."""
    payload = push_payload("ada/team", None, team.tip)
    noise = {"padding": os.urandom(limits.WEBHOOK_INLINE_PARSE_BYTES).hex()}
    return team.deliver(signed(payload | noise))


def _assert_up(team: Team) -> None:
    """It answers: alive for sure, ready or not as it finds."""
    with httpx.Client(base_url=team.service.url, timeout=10, trust_env=False) as http:
        assert http.get("/healthz").status_code == 200
        assert http.get("/readyz").status_code in (200, 503)
        assert http.get("/api/v1/runs").status_code in (200, 503)
