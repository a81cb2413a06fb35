"""The process launcher with an MLRun API: its runners are told of it, and nobody else of the credential."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from service.launchers import Job, JobKind
from service.launchers.process import ProcessLauncher, warm
from service.launchers.process.places import cache_dir
from service.settings import LauncherSettings, Mlrun, Settings, load_settings
from tests.integration.launcher.conftest import Bench
from tests.integration.launcher.test_the_real_runner import end_parent
from tests.integration.runner.projects import project
from tests.peers.mlrun_api import MlrunApi
from tests.waiting import until

pytestmark = [pytest.mark.runner, pytest.mark.mlrun_api]

TOKEN = "runners0only0this0one0is0for0runners"
WAITING = """\
import os, time

def work(context, x: int = 1):
    print("waits")
    while not os.path.exists(os.environ["HOME"] + "/go"):
        time.sleep(0.01)
    context.log_result("double", 2 * int(x))
"""


@pytest.fixture(scope="module")
def mlrun() -> Iterator[MlrunApi]:
    settings = {"MLRUN_HTTPDB__AUTHENTICATION__MODE": "bearer", "MLRUN_HTTPDB__AUTHENTICATION__BEARER__TOKEN": TOKEN}
    with MlrunApi(settings=settings) as mlrun:
        yield mlrun


@pytest.fixture
def settings(mlrun: MlrunApi) -> Iterator[Settings]:
    place = Path(tempfile.mkdtemp(prefix="launch-", dir="/tmp"))
    place.chmod(0o755)
    launcher = LauncherSettings(runs_dir=place / "runs", cache_dir=cache_dir(load_settings(environ={})))
    told = Mlrun(api=mlrun.url, runner_token=SecretStr(TOKEN))
    yield Settings(data_dir=place / "data", launcher=launcher, mlrun=told)
    shutil.rmtree(place)


@pytest.fixture
def bench(settings: Settings) -> Iterator[Bench]:
    bench = Bench.__new__(Bench)
    bench.launcher = ProcessLauncher(settings)
    yield bench
    bench.launcher.close()
    home = bench.launcher._runs / ".warm"
    for folder in home.glob("*/"):
        if warm.ping(folder):
            end_parent(folder)


def job(kind: JobKind, environment: dict[str, str], **payload: Any) -> Job:
    def source(into: Path) -> None:
        into.mkdir()
        for name, text in project(work=WAITING).items():
            (into / name).write_text(text)

    about = {"path": ".", "name": None, "repository_name": "demo", "source": ""}
    return Job(
        id=f"{kind}-{os.urandom(6).hex()}",
        kind=kind,
        source=source,
        payload={"project": about, **payload},
        timeout_s=120,
        mlrun_version="1.9.2",
        environment=environment,
    )


def holders() -> list[str]:
    """The processes of this machine in whose arguments or environment the credential is."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            name = (process / "comm").read_text().strip()
        except OSError:  # it has ended
            continue
        if TOKEN.encode() in seen and "MLRUN_HTTPDB__AUTHENTICATION__BEARER__TOKEN" not in seen.decode(
            errors="replace"
        ):
            found.append(f"{process.name} {name}")
    return found


@pytest.mark.parametrize("environment", [{}, {"PYTHONHASHSEED": "0"}], ids=["warm", "cold"])
def test_a_run_is_in_mlruns_database_and_the_credential_nowhere_else(
    bench: Bench, mlrun: MlrunApi, environment: dict[str, str]
) -> None:
    load = job(JobKind.LOAD, environment, setup_parameters={}, check=None)
    bench.launcher.ensure(load)
    loaded = bench.follow(load.id)
    assert loaded.end.exit_code == 0, bench.text(load.id)
    result = bench.launcher.result(load.id)
    shown = {"Authorization": f"Bearer {TOKEN}"}
    client = httpx.Client(base_url=f"{mlrun.url}/api/v1/", headers=shown, trust_env=False, timeout=30)
    client.put("projects/demo", json=result["project"]).raise_for_status()

    resolved = {"project": result["project"], "functions": result["functions"]}
    (workflow,) = result["workflows"]
    run = job(JobKind.RUN, environment, resolved=resolved, workflow=workflow["spec"], arguments={"x": 4}, engine="kfp")
    bench.launcher.ensure(run)
    until(lambda: "waits" in bench.text(run.id), "the step")
    assert holders() == []
    document = bench.launcher._folder(run.id).path / "job.json"
    assert TOKEN in document.read_text()
    found = document.stat()
    owner = bench.launcher._user
    assert (found.st_uid, stat.S_IMODE(found.st_mode) & 0o007) == (os.geteuid(), 0)
    assert owner is None or found.st_gid == owner
    (bench.folder(run.id) / "home" / "go").touch()
    told = bench.follow(run.id)
    claimed = next(event for event in told.events if event["event"] == "claimed")
    assert claimed["warm"] is not bool(environment)
    assert told.events[-1]["results"] == {"work-work": {"double": 8}}

    uid = next(event["uid"] for event in told.events if event["event"] == "step.started")
    (kept,) = [one for one in client.get("runs?project=demo").json()["runs"] if one["metadata"]["uid"] == uid]
    assert (kept["status"]["state"], kept["status"]["results"]) == ("completed", {"double": 8})
    client.close()

    for ended in (load, run):
        bench.launcher.clean(ended.id)
    place = bench.launcher._runs
    left = [path for path in place.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert left == []
