"""One process has a job, whoever else tries."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from tests.waiting import until

CLAIMER = """
import os, sys, time
from service.workflow_runner.claim import claim
won = claim(sys.argv[1])
print("won" if won else "lost", flush=True)
if won:
    sys.stdin.readline()
"""
FORKER = """
import os, sys, time
from service.workflow_runner.claim import claim
assert claim(sys.argv[1])
if os.fork() == 0:
    mine = os.open(os.devnull, os.O_RDONLY)  # takes the number that the lock had
    if os.fork() == 0:
        os.fstat(mine)
        print("child", flush=True)
    sys.stdin.readline()
    os._exit(0)
os._exit(0)
"""


def start(program: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.kill()
        process.communicate()


def free(folder: Path) -> bool:
    handle = os.open(folder / "alive", os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def test_of_many_that_try_at_once_one_wins(tmp_path: Path) -> None:
    claimers = [start(CLAIMER, tmp_path) for _ in range(6)]
    try:
        assert sorted(claimer.stdout.readline() for claimer in claimers if claimer.stdout) == ["lost\n"] * 5 + ["won\n"]
        assert not free(tmp_path)
    finally:
        end(*claimers)
    assert free(tmp_path)


def test_a_job_that_was_claimed_stays_claimed(tmp_path: Path) -> None:
    first = start(CLAIMER, tmp_path)
    assert first.stdout is not None
    assert first.stdout.readline() == "won\n"
    end(first)
    second = start(CLAIMER, tmp_path)
    assert second.communicate()[0] == "lost\n"


def test_a_look_at_the_lock_does_not_turn_a_runner_away(tmp_path: Path) -> None:
    handle = os.open(tmp_path / "alive", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    claimer = start(CLAIMER, tmp_path)
    try:
        until(lambda: len(os.listdir(f"/proc/{claimer.pid}/fd")) > 3, "it waits for the lock")
        os.close(handle)
        assert claimer.stdout is not None
        assert claimer.stdout.readline() == "won\n"
    finally:
        end(claimer)


def test_a_child_does_not_hold_the_lock_and_loses_no_file_of_its_own(tmp_path: Path) -> None:
    forker = start(FORKER, tmp_path)
    try:
        assert forker.stdout is not None
        assert forker.stdout.readline() == "child\n"
        until(lambda: free(tmp_path), "the lock is free though the child lives")
    finally:
        assert forker.stdin is not None
        forker.stdin.close()
        forker.wait()
        assert forker.stdout is not None
        forker.stdout.close()
