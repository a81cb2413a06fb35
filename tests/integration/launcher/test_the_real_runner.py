"""The launcher with the real runner environment, its packed workflow runner and a warm parent."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.domain.projects import RunnerRule
from service.errors import RunnerEnvironmentError
from service.launchers import EndReason, Job, JobKind, Life
from service.launchers.process import ProcessLauncher, warm
from service.launchers.process.places import cache_dir
from service.settings import LauncherSettings, Settings, load_settings
from tests.integration.launcher.conftest import Bench, gone
from tests.waiting import until

pytestmark = pytest.mark.runner

PROJECT = """
kind: project
metadata: {name: demo}
spec: {params: {rows: 5}}
"""


class Real:
    """Loads projects whose project_setup.py a test gives."""

    def __init__(self, ground: Path) -> None:
        launcher = LauncherSettings(runs_dir=ground / "runs", cache_dir=cache_dir(load_settings(environ={})))
        self.settings = Settings(data_dir=ground / "data", launcher=launcher)
        self.launcher = ProcessLauncher(self.settings)
        self.jobs: list[str] = []
        self.bench = Bench.__new__(Bench)
        self.bench.launcher = self.launcher

    def load(
        self,
        setup: str = "pass",
        *,
        files: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
        **runner: Any,
    ) -> str:
        code = f"def setup(project):\n{textwrap.indent(textwrap.dedent(setup), '    ')}\n    return project\n"

        def source(into: Path) -> None:
            into.mkdir()
            for name, text in {"project.yaml": PROJECT, "project_setup.py": code, **(files or {})}.items():
                (into / name).write_text(text)

        job = Job(
            id=f"load-{os.urandom(6).hex()}",
            kind=JobKind.LOAD,
            source=source,
            payload={
                "project": {"path": ".", "name": None, "repository_name": "demo", "source": ""},
                "setup_parameters": {},
                "check": None,
            },
            timeout_s=120,
            mlrun_version="1.9.2",
            runner=RunnerRule(**runner),
            environment=environment or {},
        )
        self.jobs.append(job.id)
        self.launcher.ensure(job)
        return job.id

    def claimed(self, job: str) -> dict[str, Any]:
        told = self.bench.follow(job, until="claimed")
        return (
            told.events[-1] if told.kinds[-1] == "claimed" else next(e for e in told.events if e["event"] == "claimed")
        )

    def parent(self) -> Path:
        """The folder of the parent that this launcher uses."""
        assert self.launcher._warm is not None
        folder = self.launcher._warm._folder(self.launcher._supply.standard())
        assert folder in self.parents()
        return folder

    def parents(self) -> list[Path]:
        home = self.launcher._runs / ".warm"
        return [folder for folder in home.glob("*/") if warm.ping(folder)] if home.is_dir() else []


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """One for all tests here, which so share a warm parent: to make one takes longer than all of them."""
    path = Path(tempfile.mkdtemp(prefix="launch-", dir="/tmp"))
    path.chmod(0o755)
    real = Real(path)
    yield path
    real.launcher.close()
    for folder in real.parents():
        end_parent(folder)
    shutil.rmtree(path)


@pytest.fixture
def real(place: Path) -> Iterator[Real]:
    real = Real(place)
    yield real
    for job in real.jobs:
        real.launcher.cancel(job)
        real.bench.follow(job)
    real.launcher.close()


def end_parent(folder: Path) -> None:
    about = warm.ping(folder)
    assert about is not None
    os.kill(int(str(about["pid"])), signal.SIGKILL)
    until(lambda: not warm._held(folder), "the end of the warm parent")


def test_loads_by_one_parent_that_the_next_service_uses_too(real: Real) -> None:
    first = real.load()
    assert real.claimed(first)["warm"] is True
    told = real.bench.follow(first)
    assert (told.kinds[-1], told.end.ended, told.end.exit_code) == ("finished", EndReason.EXITED, 0)
    assert real.launcher.result(first)["name"] == "demo"
    folder = real.parent()
    before = warm.ping(folder)
    real.launcher.close()
    real.launcher = real.bench.launcher = ProcessLauncher(real.settings)
    second = real.load("print('loaded by the second')")
    assert real.claimed(second)["warm"] is True
    assert real.bench.follow(second).end.exit_code == 0
    assert "loaded by the second" in real.bench.text(second)
    after = warm.ping(folder)
    assert before is not None
    assert after is not None
    assert before["pid"] == after["pid"]
    assert real.parent() == folder


def test_a_variable_that_only_a_fresh_interpreter_reads_makes_it_start_cold(real: Real) -> None:
    job = real.load(environment={"OMP_NUM_THREADS": "2", "ROWS": "5"})
    told = real.bench.follow(job)
    assert told.events[0]["event"] == "warning"
    assert "started cold: the job sets OMP_NUM_THREADS" in told.events[0]["text"]
    assert real.claimed(job)["warm"] is False
    assert real.launcher.result(job)["name"] == "demo"


def test_a_warm_job_has_no_more_in_its_environment_than_a_cold_one(real: Real) -> None:
    code = "import json, os\njson.dump(sorted(os.environ), open(os.environ['HOME'] + '/names', 'w'))"
    names = []
    for environment in ({}, {"PYTHONHASHSEED": "0"}):
        job = real.load(code, environment=environment)
        real.bench.follow(job)
        names.append((real.bench.folder(job) / "home" / "names").read_text())
    assert names[1].replace('"PYTHONHASHSEED", ', "") == names[0]


def test_cancelling_a_warm_job_ends_also_what_it_hid(real: Real) -> None:
    job = real.load("""
        import os, time
        def hide():
            os.setsid()
            if os.fork() == 0:
                with open(os.environ["HOME"] + "/pid", "w") as file:
                    file.write(str(os.getpid()))
                os.closerange(0, 256)
                time.sleep(300)
        if os.fork() == 0:
            hide()
            os._exit(0)
        while not os.path.exists(os.environ["HOME"] + "/pid"):
            time.sleep(0.01)
        print("hidden")
        time.sleep(300)
    """)
    until(lambda: "hidden" in real.bench.text(job), "the hidden process")
    hidden = int((real.bench.folder(job) / "home" / "pid").read_text())
    assert not gone(hidden)
    real.launcher.cancel(job)
    assert real.bench.follow(job).end.ended is EndReason.CANCELLED
    assert gone(hidden)
    assert real.parent()


@pytest.mark.faults
def test_the_end_of_the_parent_is_not_the_end_of_its_jobs(real: Real) -> None:
    job = real.load("""
        import os, time
        while not os.path.exists(os.environ["HOME"] + "/go"):
            time.sleep(0.01)
    """)
    real.claimed(job)
    folder = real.parent()
    end_parent(folder)
    (real.bench.folder(job) / "home" / "go").touch()
    told = real.bench.follow(job)
    assert (told.kinds[-1], told.end.life) == ("finished", Life.GONE)
    again = real.load()
    assert real.bench.follow(again).end.exit_code == 0


@pytest.mark.faults
def test_a_parent_that_does_not_answer_is_done_without(real: Real) -> None:
    real.bench.follow(real.load())
    folder = real.parent()
    about = warm.ping(folder)
    assert about is not None
    (folder / "socket").unlink()
    job = real.load()
    real.launcher.cancel(job)  # while it waits for the parent
    assert real.bench.follow(job).end.ended is EndReason.CANCELLED
    os.kill(int(str(about["pid"])), signal.SIGKILL)
    until(lambda: not warm._held(folder), "the end of the parent")
    assert real.bench.follow(real.load()).end.exit_code == 0


def test_a_project_brings_a_package_of_its_own(real: Real) -> None:
    code = "import iniconfig, mlrun, sys\nprint('versions', iniconfig.__file__, mlrun.__version__)"
    files = {"requirements.txt": "# of the project\niniconfig==2.0.0\n"}
    job = real.load(code, files=files, requirements_file="requirements.txt")
    told = real.bench.follow(job)
    assert told.events[0]["text"] == "started cold: it brings requirements"
    assert told.end.exit_code == 0, real.bench.text(job)
    (line,) = [line for line in real.bench.text(job).splitlines() if line.startswith("versions")]
    assert "-with-" in line
    assert line.endswith(" 1.9.2")
    layer = Path(line.split()[1])
    assert layer.stat().st_uid == os.geteuid()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pandas==0.24.0\n", "pandas"),
        ("-r /etc/shadow\n", r"line 1: '-r /etc/shadow' names a file"),
        ("iniconfig\n-e .\n", r"line 2: '-e \.' names a file"),
        ("x @ file:///etc\n", "names a file"),
        ("not a requirement!\n", "uv pip failed|uv pip install failed"),
    ],
)
def test_requirements_that_can_not_be_had_fail_with_uvs_words(real: Real, text: str, words: str) -> None:
    with pytest.raises(RunnerEnvironmentError) as raised:
        real.load(files={"requirements.txt": text}, requirements_file="requirements.txt")
    real.jobs.clear()
    assert re.search(words, f"{raised.value} {raised.value.detail}")


@pytest.mark.parametrize("name", ["missing.txt", "../../../../../../etc/passwd", "/etc/passwd"])
def test_a_requirements_file_is_one_of_the_commit(real: Real, name: str) -> None:
    with pytest.raises(RunnerEnvironmentError, match="the commit has no requirements file"):
        real.load(requirements_file=name)
    real.jobs.clear()
