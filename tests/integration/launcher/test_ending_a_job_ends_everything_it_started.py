from __future__ import annotations

from pathlib import Path

import pytest

from service.launchers import EndReason, Life
from tests.integration.launcher.conftest import Bench, gone, wait_for

# Each way in which a process can try to leave its job; `report` writes the pid of what it started.
ESCAPES = {
    "a child": "subprocess.Popen(['sleep', '300'])",
    "a child in a session of its own": "subprocess.Popen(['sleep', '300'], start_new_session=True)",
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
def fork(then):
    if os.fork() == 0:
        with open(folder + "/pids", "a") as file:
            file.write("%d\\n" % os.getpid())
        then()
        os._exit(0)
"""


def pids(bench: Bench, job: str) -> list[int]:
    file = bench.folder(job) / "pids"
    children = [int(line) for line in file.read_text().split()] if file.exists() else []
    sleeping = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if _of(path, job)]
    return [pid for pid in {*children, *sleeping} if not gone(pid)]


def _of(environ: Path, job: str) -> bool:
    try:
        return f"GITOPS_JOB={job}".encode() in environ.read_bytes().split(b"\0")
    except OSError:
        return False


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
    wait_for(ended.exists, "the keeper to end the job by itself")
    told = bench.follow(job)
    assert told.end.ended is EndReason.TIMED_OUT
    assert told.kinds == ["claimed"]


def test_a_fork_bomb_is_ended(bench: Bench) -> None:
    # Bounded by itself, so that a failing test does not take the machine with it; all of it leaves the group.
    job = bench.start("""
        import os, time
        events.emit("started")
        end = time.monotonic() + 20
        for _ in range(40):
            if os.fork() == 0:
                while time.monotonic() < end:
                    if os.fork():
                        time.sleep(0.02)
                        os._exit(0)
                    os.setsid()
                os._exit(0)
        time.sleep(300)
    """)
    bench.follow(job, until="started")
    bench.launcher.cancel(job)
    assert bench.follow(job).end.ended is EndReason.CANCELLED
    assert pids(bench, job) == []
