"""The MLRun launcher on a real store, with a MLRun in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from service import limits
from service.launchers import Job, JobKind
from service.launchers.mlrun import MlrunLauncher, following, looking
from service.mlrun_api import MlrunApi
from service.store import Store
from tests.peers.followed import Followed
from tests.peers.memory_mlrun import MemoryMlrun
from tests.unit.store.conftest import database_url, postgres, settings, store

__all__ = ["database_url", "postgres", "settings", "store"]


class Place(Followed):
    """A run of `job`, its service and its MLRun."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.mlrun = MemoryMlrun()
        super().__init__(self._made(), a_job())

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
    for module, name, seconds in (
        (following, "_ROUND_S", 0.05),
        (following, "_AGAIN_S", 0.1),
        (following, "_AGAIN_MOST_S", 0.5),
        (looking, "_GONE_S", 0.1),
        (looking, "_QUIET_S", 0.1),
        (looking, "_SILENT_S", 0.1),
        (looking, "_ABORT_S", 0.2),
        (looking, "_UNREAD_S", 0.5),
    ):
        monkeypatch.setattr(module, name, seconds)
    monkeypatch.setattr("service.launchers.mlrun.submitting._LOOK_S", 0.05)
    monkeypatch.setattr(limits, "MLRUN_DOUBT_S", 1.0)


@pytest.fixture
def place(store: Store, quick: None) -> Iterator[Place]:
    made = Place(store)
    yield made
    made.launcher.close()
