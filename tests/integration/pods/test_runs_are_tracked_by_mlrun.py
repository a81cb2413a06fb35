"""A pod is told of MLRun's API when it asks for its job: until then the credential is in the service's memory alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from service.launchers import JobKind
from service.launchers.document import needs_of
from service.launchers.pack import pack
from service.settings import Mlrun, Settings
from service.source.archive import Archives
from service.store import jobs
from tests.integration.pods.conftest import _open
from tests.integration.runner.projects import project
from tests.peers.mlrun_api import MlrunApi
from tests.peers.pod import Callee, Pod, token_of_pod
from tests.peers.runner_python import runner_python

__all__ = ["runner_python"]

TOKEN = "runners0only0this0one0is0for0runners"
PROJECT = {"path": ".", "name": None, "repository_name": "fraud", "source": "git://git.example.com/ml/fraud.git"}


@pytest.fixture
def url() -> str:
    return "http://mlrun.example.com:8080"


@pytest.fixture
def callee(tmp_path: Path, url: str) -> Iterator[Callee]:
    archives = Archives(tmp_path / "archives")
    files = {name: text.encode() for name, text in project().items()}
    settings = Settings(data_dir=tmp_path / "data", mlrun=Mlrun(api=url, runner_token=SecretStr(TOKEN)))
    with Callee(settings, lambda _, commit: _open(archives, commit, files)) as callee:
        yield callee


def ask(callee: Callee, job: str, token: str) -> httpx.Response:
    return httpx.get(
        f"{callee.url}/runner/v1/jobs/{job}/job", headers={"Authorization": f"Bearer {token}"}, trust_env=False
    )


def test_only_the_pod_of_a_job_is_told_and_only_while_it_goes_on(callee: Callee, tmp_path: Path) -> None:
    callee.add("one")
    token = token_of_pod(callee.store, "one")
    told = ask(callee, "one", token).json()["job"]
    assert told["mlrun"] == {"api": "http://mlrun.example.com:8080", "token": TOKEN, "session": False, "ca": None}
    assert TOKEN not in ask(callee, "one", token_of_pod(callee.store, "two")).text
    callee.cancel()
    assert ask(callee, "one", token).status_code == 410
    callee.store.close()
    kept = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]


@pytest.mark.runner
@pytest.mark.mlrun_api
@pytest.mark.slow
class TestWithTheRealOne:
    @pytest.fixture
    def mlrun(self) -> Iterator[MlrunApi]:
        auth = "MLRUN_HTTPDB__AUTHENTICATION__"
        with MlrunApi(settings={f"{auth}MODE": "bearer", f"{auth}BEARER__TOKEN": TOKEN}) as mlrun:
            yield mlrun

    @pytest.fixture
    def url(self, mlrun: MlrunApi) -> str:
        return mlrun.url

    @pytest.fixture
    def run(self, callee: Callee, runner_python: Path, ground: Path) -> Iterator[Callable[..., Pod]]:
        pods: list[Pod] = []

        def begin(job: str, kind: JobKind, **payload: Any) -> Pod:
            callee.add(job, kind=kind, needs=needs_of("1.9.2"), payload={"project": PROJECT, **payload})
            secret = callee.secret(ground / job / "secret", job)
            pods.append(Pod(ground / job, runner_python, pack(ground), secret))
            pods[-1].wait(120)
            return pods[-1]

        yield begin
        for pod in pods:
            pod.close()

    def test_a_run_in_a_pod_is_in_mlruns_database(
        self, callee: Callee, run: Callable[..., Pod], mlrun: MlrunApi
    ) -> None:
        load = run("load", JobKind.LOAD, setup_parameters={}, check=None)
        with callee.store.read() as conn:
            result = json.loads(jobs.result(conn, "load") or b"null")
        assert result, load.log
        with httpx.Client(base_url=f"{mlrun.url}/api/v1/", trust_env=False, timeout=30) as client:
            client.headers["Authorization"] = f"Bearer {TOKEN}"
            client.put("projects/demo", json=result["project"]).raise_for_status()
            (workflow,) = result["workflows"]
            resolved = {"project": result["project"], "functions": result["functions"]}
            pod = run(
                "run", JobKind.RUN, resolved=resolved, workflow=workflow["spec"], arguments={"x": 4}, engine="kfp"
            )
            assert callee.lines("run")[-1]["results"] == {"work-work": {"double": 8}}, pod.log
            (kept,) = client.get("runs?project=demo").json()["runs"]
        assert (kept["status"]["state"], kept["status"]["results"]) == ("completed", {"double": 8})
        assert TOKEN not in pod.log + load.log + json.dumps([callee.lines("run"), callee.lines("load"), result])
