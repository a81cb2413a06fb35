from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from service.errors import LaunchFailed
from service.launchers import EndReason, Life
from service.launchers.process import ProcessLauncher
from tests.integration.launcher.conftest import Bench
from tests.waiting import until

STEP = """
with open(folder + "/steps", "a") as file:
    file.write("step\\n")
print("hello from", source)
"""


def steps(bench: Bench, job: str) -> list[str]:
    return (bench.folder(job) / "steps").read_text().splitlines()


def test_a_job_tells_its_events_its_exit_code_and_its_log(bench: Bench) -> None:
    job = bench.start(STEP)
    told = bench.follow(job)
    assert told.kinds == ["claimed", "finished"]
    assert (told.end.life, told.end.ended, told.end.exit_code) == (Life.GONE, EndReason.EXITED, 0)
    assert bench.text(job).startswith("hello from /")


def test_a_failing_job_keeps_its_exit_code_and_its_traceback(bench: Bench) -> None:
    job = bench.start("raise ValueError('no rows')")
    told = bench.follow(job)
    assert told.end.exit_code == 1
    assert told.events[-1]["error"] == {"type": "ValueError", "message": "no rows"}
    assert "ValueError: no rows" in bench.text(job)


def test_ensured_again_while_running_and_after_its_end_it_ran_once(bench: Bench) -> None:
    job = bench.job(STEP)
    for _ in range(3):
        bench.launcher.ensure(job)
    bench.follow(job.id)
    bench.launcher.ensure(job)
    told = bench.follow(job.id)
    assert told.kinds == ["claimed", "finished"]
    assert steps(bench, job.id) == ["step"]


def test_two_services_at_once_start_one_job(bench: Bench) -> None:
    others = [ProcessLauncher(bench.settings, bench.supply) for _ in range(4)]
    job = bench.job(STEP)
    threads = [threading.Thread(target=other.ensure, args=(job,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        assert bench.follow(job.id, launcher=other).kinds == ["claimed", "finished"]
        other.close()
    assert steps(bench, job.id) == ["step"]


def test_a_job_that_nobody_started_is_unknown(bench: Bench) -> None:
    (seen,) = bench.launcher.observe({"never": 0}, 0.05)
    assert seen.life is Life.UNKNOWN


def test_a_cleaned_job_is_not_started_again_and_keeps_its_log_and_artifacts(bench: Bench) -> None:
    job = bench.job(STEP + "\nopen(folder + '/artifacts/model', 'w').write('weights')")
    bench.launcher.ensure(job)
    bench.follow(job.id)
    bench.launcher.clean(job.id)
    bench.launcher.ensure(job)
    assert bench.follow(job.id).end.life is Life.GONE
    assert [entry.name for entry in bench.folder(job.id).iterdir()] == ["artifacts"]
    assert (bench.folder(job.id) / "artifacts" / "model").read_text() == "weights"
    assert not (bench.folder(job.id).parent / "source").exists()
    assert "hello from" in bench.text(job.id)


def test_a_job_that_can_not_be_executed_ends_and_says_so(bench: Bench, ground: Path) -> None:
    bench.supply.python = ground / "gone"
    job = bench.start(STEP)
    told = bench.follow(job)
    assert (told.kinds, told.end.exit_code) == ([], 127)
    assert "could not be started" in bench.text(job)


def test_a_failing_checkout_is_raised_and_the_next_attempt_starts_the_job(bench: Bench) -> None:
    calls: list[Path] = []

    def source(into: Path) -> None:
        calls.append(into)
        if len(calls) == 1:
            raise OSError("disk full")
        into.mkdir()

    job = bench.job(STEP, source=source)
    with pytest.raises(LaunchFailed, match="disk full"):
        bench.launcher.ensure(job)
    bench.launcher.ensure(job)
    assert bench.follow(job.id).kinds == ["claimed", "finished"]


# A service of its own, for crash points: it starts one job and would then end.
SERVICE = """
import sys
from pathlib import Path
from service.launchers import Job, JobKind
from service.launchers.process import ProcessLauncher
from service.launchers.process.supply import Supplies
from tests.integration.launcher.conftest import settings_on

ground, python, program, user, name, code = sys.argv[1:]

class Supply:
    def standard(self):
        return Supplies(python=Path(python), program=Path(program), key="stand-in", cold="a stand-in")
    def for_job(self, job, source):
        return self.standard()

job = Job(id=name, kind=JobKind.RUN, source=Path.mkdir, payload={"code": code}, timeout_s=60, mlrun_version="1.9.2")
ProcessLauncher(settings_on(Path(ground), user=int(user)), Supply()).ensure(job)
"""


@pytest.mark.faults
@pytest.mark.parametrize("at", ["launcher.before-start", "launcher.after-start"])
def test_a_service_killed_around_the_start_leaves_a_job_that_runs_once(bench: Bench, ground: Path, at: str) -> None:
    user, job = bench.settings.launcher.user, bench.job(STEP)
    done = subprocess.run(
        [
            *(sys.executable, "-c", SERVICE, str(ground), str(bench.supply.python), str(bench.supply.program)),
            *(str(user), job.id, STEP),
        ],
        env={**os.environ, "GITOPS_CRASH_AT": at, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])},
        check=False,
    )
    assert done.returncode == -9
    bench.launcher.ensure(job)
    assert bench.follow(job.id).kinds == ["claimed", "finished"]
    assert steps(bench, job.id) == ["step"]


@pytest.mark.faults
def test_a_keeper_killed_before_the_claim_leaves_a_job_that_runs_once(bench: Bench) -> None:
    wait = "import time\nwhile not os.path.exists(job['folder'] + '/go'): time.sleep(0.01)"
    job = bench.job(STEP, before_claim=wait)
    bench.launcher.ensure(job)
    kill_keeper(bench, job.id)
    bench.launcher.ensure(job)
    (bench.folder(job.id) / "go").touch()
    assert bench.follow(job.id).kinds == ["claimed", "finished"]
    assert steps(bench, job.id) == ["step"]


@pytest.mark.faults
def test_a_keeper_killed_amid_the_job_is_replaced_and_no_output_is_lost(bench: Bench) -> None:
    job = bench.start("""
        import os, time
        events.emit("ready")
        for number in range(20000):
            print("line", number, "x" * 100)
        events.emit("started")
        while not os.path.exists(folder + "/go"):
            time.sleep(0.01)
    """)
    bench.follow(job, until="ready")
    kill_keeper(bench, job)
    told = bench.follow(job, until="started")  # only with its output read on can it come here
    (bench.folder(job) / "go").touch()
    bench.follow(job)
    assert told.kinds == ["claimed", "ready", "started"]
    assert [line for line in bench.text(job).splitlines() if line.startswith("line")] == [
        f"line {number} {'x' * 100}" for number in range(20000)
    ]


@pytest.mark.faults
def test_runner_and_keeper_killed_is_a_job_that_is_gone_without_a_word(bench: Bench) -> None:
    job = bench.start(STEP + "\nimport time\nevents.emit('started')\ntime.sleep(100)")
    told = bench.follow(job, until="started")
    kill_keeper(bench, job)
    os.kill(told.events[0]["pid"], 9)
    told = bench.follow(job)
    assert told.kinds == ["claimed", "started"]
    assert (told.end.ended, told.end.exit_code) == (None, None)


def test_a_runner_killed_from_outside_is_told_so(bench: Bench) -> None:
    job = bench.start("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    told = bench.follow(job)
    assert (told.end.ended, told.end.exit_code) == (EndReason.KILLED, -9)


def kill_keeper(bench: Bench, job: str) -> None:
    folder = bench.launcher._folder(job)
    lock = str(folder.path / "lock")
    holders: set[int] = set()

    def only_the_keeper() -> bool:
        """A process that is about to become the runner still has all that its parent has."""
        holders.clear()
        holders.update(int(process.name) for process in Path("/proc").glob("[0-9]*") if lock in _opened(process))
        return len(holders) == 1

    until(only_the_keeper, "the keeper to be the only one with its lock")
    os.kill(holders.pop(), 9)
    until(lambda: not folder.kept(), "the keeper's lock to be free")


def _opened(process: Path) -> set[str]:
    """The files that it has open, as far as we may look; it may end, or close some, meanwhile."""
    opened = set()
    with suppress(OSError):
        for name in os.listdir(process / "fd"):
            with suppress(OSError):
                opened.add(str((process / "fd" / name).readlink()))
    return opened


def test_a_job_whose_runner_died_before_its_claim_is_started_again_when_it_is_ensured_again(bench: Bench) -> None:
    marker = "os.path.join(os.path.dirname(job['folder']), 'folder', 'died')"
    die_once = f"""
        marker = {marker}
        if not os.path.exists(marker):
            open(marker, "w").close()
            os.kill(os.getpid(), 9)
    """
    job = bench.job(STEP, before_claim=textwrap.dedent(die_once))
    bench.launcher.ensure(job)
    told = bench.follow(job.id)
    assert (told.kinds, told.end.ended) == ([], EndReason.KILLED)
    bench.launcher.ensure(job)
    assert bench.follow(job.id).kinds == ["claimed", "finished"]
    assert steps(bench, job.id) == ["step"]


def test_a_job_that_was_cleaned_never_begins_again(bench: Bench) -> None:
    job = bench.job("pass", before_claim="os.kill(os.getpid(), 9)")
    bench.launcher.ensure(job)
    bench.follow(job.id)
    bench.launcher.clean(job.id)
    bench.launcher.ensure(job)
    assert bench.follow(job.id).end.ended == EndReason.KILLED
