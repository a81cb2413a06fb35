"""Kill -9 at any moment, or exactly around a commit: what was acknowledged is there, and the next process goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from service.settings import Settings
from service.store import open_store

WRITER = [sys.executable, "-m", "tests.unit.store.acking_writer"]


def start(data_dir: Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*WRITER, str(data_dir)], stdout=subprocess.PIPE, env=os.environ | environment)


def stored(data_dir: Path) -> set[str]:
    store = open_store(Settings(data_dir=data_dir))
    with store.read() as conn:
        found = set(conn.execute(text("SELECT id FROM deliveries")).scalars())
        assert conn.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    store.close()
    return found


def read_to_the_end(process: subprocess.Popen[bytes]) -> set[str]:
    rest, _ = process.communicate(timeout=60)
    return set(rest.decode().split())


@pytest.mark.faults
def test_every_acknowledged_row_is_there_after_kill_9(tmp_path: Path, faults: int) -> None:
    acknowledged: set[str] = set()
    for round_ in range(max(3, faults)):
        process = start(tmp_path / "data")
        assert process.stdout is not None
        for _ in range(50 + 37 * (round_ % 7)):
            acknowledged.add(process.stdout.readline().decode().strip())
        os.kill(process.pid, signal.SIGKILL)
        acknowledged |= read_to_the_end(process)
        assert process.returncode == -signal.SIGKILL
        assert acknowledged <= stored(tmp_path / "data")


@pytest.mark.faults
@pytest.mark.parametrize("where", ["store.before-commit:7", "store.after-commit:7"])
def test_a_crash_at_the_commit_loses_nothing_that_was_acknowledged(tmp_path: Path, where: str) -> None:
    process = start(tmp_path / "data", GITOPS_CRASH_AT=where)
    acknowledged = read_to_the_end(process)
    assert process.returncode == -signal.SIGKILL
    there = stored(tmp_path / "data")
    assert acknowledged <= there
    if where.startswith("store.after"):
        assert acknowledged < there, "what was committed and not yet told is kept as well"


@pytest.mark.faults
def test_a_crash_armed_by_a_file_happens_once(tmp_path: Path) -> None:
    armed = tmp_path / "crash-here"
    armed.write_text("store.after-commit:3\n")
    first = start(tmp_path / "data", GITOPS_CRASH_FILE=str(armed))
    read_to_the_end(first)
    assert first.returncode == -signal.SIGKILL
    assert not armed.exists()

    second = start(tmp_path / "data", GITOPS_CRASH_FILE=str(armed))
    assert second.stdout is not None
    assert [second.stdout.readline() for _ in range(100)][-1] != b""
    second.kill()
    second.communicate(timeout=60)
