from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from service.launchers import EndReason, Life
from tests.integration.launcher.conftest import Bench, gone
from tests.waiting import until

# Each way in which a process can try to leave its job; `report` writes the pid of what it started.
ESCAPES = {
    "a child": "report(subprocess.Popen(['sleep', '300']).pid)",
    "a child in a session of its own": "report(subprocess.Popen(['sleep', '300'], start_new_session=True).pid)",
    "a double fork": "fork(lambda: fork(lambda: time.sleep(300)))",
    "a daemon": "fork(lambda: (os.setsid(), fork(lambda: time.sleep(300))))",
    "a daemon that closed everything": "fork(lambda: (os.setsid(), fork(lambda: (os.closerange(0, 256), time.sleep(300)))))",
    "a daemon with an empty environment": (
        "fork(lambda: (os.setsid(), fork(lambda: os.execve('/bin/sleep', ['sleep', '300'], {}))))"
    ),
    "one that ignores SIGTERM": (
        "fork(lambda: (signal.signal(signal.SIGTERM, signal.SIG_IGN), [time.sleep(300) for _ in range(9)]))"
    ),
}
PRELUDE = """
import os, signal, subprocess, time
def report(pid):
    with open(folder + "/pids", "a") as file:
        file.write("%d\\n" % pid)
def fork(then):
    if os.fork() == 0:
        report(os.getpid())
        then()
        os._exit(0)
report(os.getpid())
"""


def pids(bench: Bench, job: str) -> list[int]:
    """Those that live, of all that reported themselves; the environment of another user's process is closed to root in a
    container.
    """
    reported = (bench.folder(job) / "pids").read_text().split()
    return [pid for pid in {int(line) for line in reported} if not gone(pid)]


def copies(job: str) -> list[int]:
    """Forks of the runner, who has the job's folder in its command line as its keeper has."""
    lines = Path("/proc").glob("[0-9]*/cmdline")
    return [int(line.parts[2]) for line in lines if _names(line, job) and not gone(int(line.parts[2]))]


def _names(cmdline: Path, job: str) -> bool:
    try:
        words = cmdline.read_bytes()
    except OSError:
        return False
    return job.encode() in words and b"keeper.program" not in words


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES.keys())
def test_cancelling_ends_what_tried_to_leave(bench: Bench, escape: str) -> None:
    job = bench.start(f"{PRELUDE}\n{escape}\ntime.sleep(0.2)\nevents.emit('started')\ntime.sleep(300)")
    bench.follow(job, until="started")
    assert len(before := pids(bench, job)) >= 2
    bench.launcher.cancel(job)
    told = bench.follow(job)
    assert told.end.ended is EndReason.CANCELLED
    assert [pid for pid in before if not gone(pid)] == []
    assert pids(bench, job) == []


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES.keys())
def test_what_is_left_running_ends_with_its_job(bench: Bench, escape: str) -> None:
    job = bench.start(f"{PRELUDE}\n{escape}\ntime.sleep(0.2)")
    told = bench.follow(job)
    assert (told.end.ended, told.end.exit_code) == (EndReason.EXITED, 0)
    assert pids(bench, job) == []


def test_a_job_that_ignores_sigterm_is_killed_after_the_grace(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.limits.CANCEL_GRACE_S", 0.3)
    job = bench.start(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nevents.emit('started')\ntime.sleep(300)"
    )
    bench.follow(job, until="started")
    bench.launcher.cancel(job)
    told = bench.follow(job)
    assert (told.end.ended, told.end.exit_code) == (EndReason.CANCELLED, -9)


def test_a_job_may_clean_up_at_sigterm(bench: Bench) -> None:
    job = bench.start("""
        import signal, sys, time
        def leave(*_):
            print("cleaned up")
            sys.exit(3)
        signal.signal(signal.SIGTERM, leave)
        events.emit("started")
        time.sleep(300)
    """)
    bench.follow(job, until="started")
    bench.launcher.cancel(job)
    told = bench.follow(job)
    assert (told.end.ended, told.end.exit_code) == (EndReason.CANCELLED, 3)
    assert "cleaned up" in bench.text(job)


def test_a_stopped_job_can_be_cancelled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.limits.CANCEL_GRACE_S", 0.3)
    job = bench.start("import os, signal\nevents.emit('started')\nos.kill(os.getpid(), signal.SIGSTOP)")
    bench.follow(job, until="started")
    bench.launcher.cancel(job)
    assert bench.follow(job).end.ended is EndReason.CANCELLED


def test_a_job_cancelled_before_its_start_never_starts(bench: Bench) -> None:
    job = bench.job("events.emit('started')")
    bench.launcher.cancel(job.id)
    told = bench.follow(job.id)
    assert (told.end.life, told.end.ended) == (Life.GONE, EndReason.CANCELLED)
    bench.launcher.ensure(job)
    assert bench.follow(job.id).kinds == []
    assert not bench.folder(job.id).exists()


def test_cancelling_what_is_gone_changes_nothing(bench: Bench) -> None:
    job = bench.start("pass")
    before = bench.follow(job).end
    bench.launcher.cancel(job)
    assert bench.follow(job).end.ended == before.ended == EndReason.EXITED


def test_the_first_reason_stays(bench: Bench) -> None:
    job = bench.start("import time\nevents.emit('started')\ntime.sleep(300)")
    bench.follow(job, until="started")
    bench.launcher.cancel(job, EndReason.TIMED_OUT)
    bench.launcher.cancel(job)
    assert bench.follow(job).end.ended is EndReason.TIMED_OUT


def test_a_job_over_its_time_is_ended_with_nobody_watching(bench: Bench) -> None:
    job = bench.start("import time\ntime.sleep(300)", timeout_s=0.5)
    ended = bench.folder(job).parent / "ended"
    until(ended.exists, "the keeper to end the job by itself")
    assert bench.follow(job).end.ended is EndReason.TIMED_OUT


def test_a_job_whose_folder_was_removed_ends_and_its_keeper_too(bench: Bench) -> None:
    job = bench.start("import time\nevents.emit('started')\ntime.sleep(300)")
    told = bench.follow(job, until="started")
    runner = told.events[0]["pid"]
    keeper = int(Path(f"/proc/{runner}/stat").read_text().rsplit(")", 1)[1].split()[1])
    shutil.rmtree(bench.folder(job).parent)
    until(lambda: gone(runner) and gone(keeper), "runner and keeper to end")
    bench.jobs.clear()


def test_a_fork_bomb_is_ended(bench: Bench) -> None:
    # Bounded by itself, so that a failing test does not take the machine with it; all of it leaves the group.
    job = bench.start("""
        import os, time
        forks = os.open(folder + "/forks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        events.emit("started")
        end = time.monotonic() + 20
        for _ in range(40):
            if os.fork() == 0:
                while time.monotonic() < end:
                    os.write(forks, b".")
                    if os.fork():
                        time.sleep(0.1)
                        os._exit(0)
                    os.setsid()
                os._exit(0)
        time.sleep(300)
    """)
    bench.follow(job, until="started")
    until(lambda: (bench.folder(job) / "forks").stat().st_size > 100, "the bomb to go off")
    bench.launcher.cancel(job)
    assert bench.follow(job).end.ended is EndReason.CANCELLED
    assert copies(job) == []
