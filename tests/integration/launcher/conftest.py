"""Real processes: a launcher, and jobs that are small Python scripts behind the real claim and event files."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service import workflow_runner
from service.launchers import Job, JobKind, Life, Observation
from service.launchers.process import ProcessLauncher
from service.launchers.process.interpreter import Interpreter, ask, for_runner
from service.launchers.process.places import runner_user
from service.launchers.process.supply import Supplies
from service.settings import LauncherSettings, Settings

# What the packed workflow runner does before and after the user's code, without MLRun: its own modules do it.
PROGRAM = """
import json, os, sys, traceback
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from parts import claim
from parts.events import Events
job = json.load(open(sys.argv[1]))
exec(job.get("before_claim", ""))
if not claim.claim(job["folder"]):
    sys.exit(0)
events = Events(job["folder"])
events.emit("claimed", pid=os.getpid())
error = None
try:
    exec(job["code"], {"events": events, "folder": job["folder"], "source": job["source"]})
except Exception as exc:
    traceback.print_exc()
    error = {"type": type(exc).__name__, "message": str(exc)}
events.emit("finished", state="failed" if error else "succeeded", results={}, error=error)
sys.exit(1 if error else 0)
"""


class StandIn:
    """Supplies a Python that the runner's user can run, and the program above."""

    def __init__(self, settings: Settings, at: Path) -> None:
        at.mkdir(mode=0o755)
        parts = at / "parts"
        parts.mkdir(mode=0o755)
        for module in Path(workflow_runner.__file__).parent.glob("*.py"):
            shutil.copy(module, parts / module.name)
        self.program = at / "program.py"
        self.program.write_text(PROGRAM, encoding="utf-8")
        self.python = _python(settings)

    def standard(self) -> Supplies:
        return Supplies(python=self.python, program=self.program, key="stand-in", cold="a stand-in has no warm parent")

    def for_job(self, job: Job, source: Path) -> Supplies:
        return self.standard()


def _python(settings: Settings) -> Path:
    user = runner_user(settings)
    for candidate in (sys.executable, "/usr/bin/python3"):
        if isinstance(answer := ask(Path(candidate), user), Interpreter):
            return answer.path
    answer = ask(Path(sys.executable))
    assert isinstance(answer, Interpreter), answer
    return for_runner(settings, answer).path


class Bench:
    """One launcher and the jobs a test gave it."""

    def __init__(self, settings: Settings, supply: StandIn) -> None:
        self.settings = settings
        self.supply = supply
        self.launcher = ProcessLauncher(settings, supply)
        self.jobs: list[str] = []

    def job(self, code: str, *, timeout_s: float = 60.0, **more: Any) -> Job:
        environment = more.pop("environment", {})
        source: Callable[[Path], object] = more.pop("source", _checkout)
        job = Job(
            id=f"job-{uuid.uuid4().hex[:12]}",  # the machine's other jobs are not ours
            kind=JobKind.RUN,
            source=source,
            payload={"code": textwrap.dedent(code), "project": {"path": "."}, **more},
            timeout_s=timeout_s,
            mlrun_version="1.9.2",
            environment=environment,
        )
        self.jobs.append(job.id)
        return job

    def start(self, code: str, **more: Any) -> str:
        job = self.job(code, **more)
        self.launcher.ensure(job)
        return job.id

    def follow(self, job: str, *, until: str | None = None, launcher: ProcessLauncher | None = None) -> Told:
        """All events up to the end of the job, or up to the first one of kind `until`."""
        told = Told()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            (seen,) = (launcher or self.launcher).observe({job: told.position}, 1.0)
            told.add(seen)
            if seen.life is Life.GONE or (until and until in told.kinds):
                return told
        raise AssertionError(f"no end of {job}: {told.events}; {self.launcher.logs(job).text}")

    def folder(self, job: str) -> Path:
        return self.launcher._folder(job).inner

    def text(self, job: str) -> str:
        text, offset = "", 0
        while True:
            chunk = self.launcher.logs(job, offset)
            text, offset = text + chunk.text, chunk.next_offset
            if chunk.complete or not chunk.text:
                return text


class Told:
    """What was observed of a job, and the last observation."""

    def __init__(self) -> None:
        self.position = 0
        self.events: list[dict[str, Any]] = []
        self.last: Observation | None = None

    def add(self, seen: Observation) -> None:
        self.last, self.position = seen, seen.position
        self.events.extend(seen.events)

    @property
    def kinds(self) -> list[str]:
        return [event["event"] for event in self.events]

    @property
    def end(self) -> Observation:
        assert self.last is not None
        return self.last


def _checkout(into: Path) -> None:
    into.mkdir()
    (into / "a.txt").write_text("of the commit\n", encoding="utf-8")


def settings_on(ground: Path, user: int) -> Settings:
    """Jobs run as `user`; 0, which no configuration may say, is the service's own user also for root."""
    launcher = LauncherSettings(runs_dir=ground / "runs", cache_dir=ground / "cache", warm=False)
    return Settings(data_dir=ground / "data", launcher=launcher.model_copy(update={"user": user}))


@pytest.fixture(params=["own user", "service's user"])
def bench(ground: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """As root: once with a user of the jobs' own, once without. Else there is only the latter."""
    if request.param == "own user" and os.geteuid() != 0:
        pytest.skip("only root can give jobs a user of their own")
    settings = settings_on(ground, user=64998 if request.param == "own user" else 0)
    bench = Bench(settings, StandIn(settings, ground / "program"))
    yield bench
    for job in bench.jobs:
        bench.launcher.cancel(job)
    for job in bench.jobs:
        bench.follow(job)
    bench.launcher.close()


def gone(pid: int) -> bool:
    """Whether the process is no more, a zombie counted as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # before it was opened, or before it was read
        return True
