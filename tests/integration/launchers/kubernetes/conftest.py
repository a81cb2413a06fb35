"""A launcher on a real control plane, whose pods run the real companion and call a real store; scripts stand in for workflows."""

from __future__ import annotations

import io
import tarfile
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.domain.projects import RunnerRule
from service.launchers import EndReason, Job, JobKind, Life, Observation
from service.launchers.kubernetes import KubernetesLauncher
from service.settings import Settings
from service.source.archive import Archive, Archives
from service.store import jobs
from service.store.jobs import PodJob
from tests.peers.kubernetes import Cluster, Kubelet
from tests.peers.kubernetes.account import NAME, make_account
from tests.peers.pod import Callee, fake_program

IMAGE = "mlrun/mlrun-kfp:1.9.2"
PATIENCE_S = 60.0


class Told:
    """All that was observed of a job."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.position = 0
        self.last: Observation | None = None

    def add(self, seen: Observation) -> None:
        self.events += seen.events
        self.position = seen.position
        self.last = seen

    @property
    def kinds(self) -> list[str]:
        return [event["event"] for event in self.events]

    @property
    def end(self) -> tuple[EndReason | None, int | None]:
        assert self.last is not None
        return self.last.ended, self.last.exit_code


class Stage:
    def __init__(self, cluster: Cluster, namespace: str, callee: Callee, program: bytes, **settings: Any) -> None:
        self.cluster, self.namespace, self.callee = cluster, namespace, callee
        self._program = program
        make_account(cluster, namespace)
        self.kubeconfig = cluster.service_account_kubeconfig(namespace, NAME)
        self.set(**settings)
        self.launchers: list[KubernetesLauncher] = []
        self.launcher = self.another()

    def set(self, **settings: Any) -> None:
        """For launchers that are made from now on."""
        given = {"kubeconfig": self.kubeconfig, "instance": self.namespace, "resources": {}, "keep": 600, **settings}
        self.settings = Settings.model_validate(
            {"server": {"internal_url": self.callee.url}, "launcher": {"kubernetes": given}}
        )

    def another(self) -> KubernetesLauncher:
        """As a service that takes the place of the one before, or stands beside it."""
        self.launchers.append(KubernetesLauncher(self.settings, self.callee.store, self._program))
        return self.launchers[-1]

    def close(self) -> None:
        for launcher in self.launchers:
            launcher.close()

    def job(self, script: str = "", **changed: Any) -> Job:
        given: dict[str, Any] = {
            "id": f"job-{uuid.uuid4().hex[:12]}",
            "kind": JobKind.RUN,
            "source": lambda into: None,
            "payload": {"script": textwrap.dedent(script)},
            "timeout_s": 600.0,
            "mlrun_version": "1.9.2",
            "project": "fraud",
            "repository": "ml",
            "commit": "a" * 40,
            "image": IMAGE,
            "runner": RunnerRule(),
        }
        return Job(**{**given, **changed})

    def start(self, script: str = "", **changed: Any) -> str:
        job = self.job(script, **changed)
        self.launcher.ensure(job)
        return job.id

    def follow(
        self, job: str, *, until: str | None = None, within_s: float = PATIENCE_S, told: Told | None = None
    ) -> Told:
        """All events up to the end of the job, or up to the first of kind `until`."""
        told = told or Told()
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            for seen in self.launcher.observe({job: told.position}, 1.0):
                told.add(seen)
            if told.last and (told.last.life is Life.GONE or (until and until in told.kinds)):
                return told
        raise AssertionError(f"{told.last}\n{self.row(job)}\n{self.pods(job)}\n{self.launcher.logs(job).text}")

    def wait(self, what: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
        """For a condition that is not observed of a job."""
        deadline = time.monotonic() + within_s
        while not (answer := what()):
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(0.05)
        return answer

    def waits_for(self, job: str, words: str, within_s: float = PATIENCE_S) -> str:
        """Follow a job that has not begun until its detail has these words."""
        deadline = time.monotonic() + within_s
        seen = None
        while time.monotonic() < deadline:
            (seen,) = self.launcher.observe({job: 0}, 0.2)
            if words in seen.detail:
                return seen.detail
        raise AssertionError(f"{seen}\n{self.pods(job)}")

    def row(self, job: str) -> PodJob | None:
        with self.callee.store.read() as connection:
            return jobs.find(connection, job)

    def listed(self, path: str, group: str = "/api/v1") -> list[dict[str, Any]]:
        return list(self.cluster.api.get(f"{group}/namespaces/{self.namespace}/{path}")["items"])

    def jobs(self) -> list[dict[str, Any]]:
        return self.listed("jobs", "/apis/batch/v1")

    def pods(self, job: str) -> list[dict[str, Any]]:
        return [pod for pod in self.listed("pods") if pod["metadata"]["labels"].get("mlrun-gitops.io/job") == job]

    def pod(self, job: str) -> str:
        (pod,) = self.wait(lambda: self.pods(job))
        return str(pod["metadata"]["name"])

    def owner_of_secret(self, job: str) -> str:
        """The uid of the Job that it belongs to."""
        (secret,) = [one for one in self.listed("secrets") if one["metadata"]["name"] == f"gitops-{job}"]
        return str((secret["metadata"].get("ownerReferences") or [{"uid": ""}])[0]["uid"])

    def delete(self, path: str, group: str = "/api/v1", **body: Any) -> None:
        self.cluster.api.delete(f"{group}/namespaces/{self.namespace}/{path}", **body)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return fake_program(tmp_path_factory.mktemp("program")).read_bytes()


@pytest.fixture
def callee(tmp_path: Path) -> Iterator[Callee]:
    archives = Archives(tmp_path / "archives")
    with Callee(Settings(data_dir=tmp_path / "data"), lambda _, commit: _open(archives, commit)) as called:
        yield called


def _open(archives: Archives, commit: str) -> Archive:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"a"))
    return archives.open(commit, lambda file: file.write(buffer.getvalue()))


@pytest.fixture
def make_stage(
    cluster: Cluster, kubelet: Kubelet, namespace: str, callee: Callee, program: bytes
) -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(**settings: Any) -> Stage:
        made.append(Stage(cluster, namespace, callee, program, **settings))
        return made[-1]

    yield make
    for stage in made:
        stage.close()


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    return make_stage()
