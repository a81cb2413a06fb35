"""The MLRun launcher on a real store, with a MLRun in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from service import limits
from service.domain.runs import Progress, advance
from service.domain.states import ENDED_RUNS, RunState
from service.launchers import Job, JobKind, Observation
from service.launchers.mlrun import MlrunLauncher, following
from service.mlrun_api import MlrunApi
from service.store import Store
from tests.peers.memory_mlrun import MemoryMlrun
from tests.unit.store.conftest import database_url, postgres, settings, store
from tests.waiting import until

__all__ = ["database_url", "postgres", "settings", "store"]


class Place:
    """`progress` is what the reconciler would know of the run: what its observations made of it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.mlrun = MemoryMlrun()
        self.launcher = self._made()
        self.job = a_job()
        self.progress = Progress(state=RunState.STARTING)
        self.seen: list[Observation] = []

    def _made(self) -> MlrunLauncher:
        return MlrunLauncher(self.store, cast(MlrunApi, self.mlrun))

    def start(self) -> str:
        """The uid of MLRun's run."""
        self.launcher.ensure(self.job)
        [uid] = self.mlrun.runs_
        return uid

    def reborn(self) -> None:
        """The service is another one."""
        self.launcher.close()
        self.launcher = self._made()

    def look(self) -> Progress:
        [seen] = self.launcher.observe({self.job.id: self.progress.position}, 0.2)
        self.seen.append(seen)
        step = advance(self.progress, seen, self.store.now())
        assert not step.start_again, "it would be submitted a second time"
        self.progress = step.progress
        return self.progress

    def until(self, state: RunState) -> Progress:
        def reached() -> bool:
            now = self.look().state
            assert now is state or now not in ENDED_RUNS, f"{now}: {self.progress.reason}"
            return now is state

        until(reached, f"the run is {state}")
        return self.progress

    def events(self) -> list[dict[str, Any]]:
        return [event for seen in self.seen for event in seen.events]


def a_job(**others: Any) -> Job:
    payload = {
        "project": {"path": ".", "name": "demo"},
        "workflow": {"name": "main", "path": "workflow.py", "handler": "pipeline", "args": {"rows": 50}},
        "arguments": {"rows": 0},
        "engine": "local",
        "source_url": "http://gitops:8080/archives/demo.01run.c2ln/abc.tar.gz",
    }
    usual: dict[str, Any] = {
        "id": "01run",
        "kind": JobKind.RUN,
        "source": lambda into: None,
        "payload": payload,
        "timeout_s": 3600.0,
        "mlrun_version": "1.9.2",
        "project": "demo",
        "repository": "demo",
        "commit": "abc",
        "image": "docker.io/mlrun/mlrun-kfp:1.9.2",
    }
    return Job(**(usual | others))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times that tests would wait for."""
    for name, seconds in (
        ("_ROUND_S", 0.05),
        ("_GONE_S", 0.1),
        ("_QUIET_S", 0.1),
        ("_SILENT_S", 0.1),
        ("_ABORT_S", 0.2),
    ):
        monkeypatch.setattr(following, name, seconds)
    monkeypatch.setattr("service.launchers.mlrun.submitting._LOOK_S", 0.05)
    monkeypatch.setattr(limits, "MLRUN_DOUBT_S", 1.0)


@pytest.fixture
def place(store: Store, quick: None) -> Iterator[Place]:
    made = Place(store)
    yield made
    made.launcher.close()
