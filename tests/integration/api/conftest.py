"""The API on a real store with the real actions; nobody does the work that they ask for, so that what was asked stays to be seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.notifier import Notifier
from service.receiver import Intake
from service.receiver.spool import Spool
from service.reconciler import Rooms
from service.reconciler.actions import Actions
from service.settings import Settings
from service.source import Source
from service.store import Store, open_store
from service.web import api
from tests.peers.memory_launcher import MemoryLauncher

TOKEN = "a-token-of-some-length"
SETTINGS: dict[str, Any] = {
    "repositories": [
        {
            "name": "fraud",
            "url": "https://git.example.com/ml/fraud.git",
            "webhook_secrets": ["webhook-canary-5d0c"],
            "credentials": {"token": "credentials-canary-5d0c"},
        },
        {"name": "churn", "url": "https://git.example.com/ml/churn.git", "webhook_secrets": "insecure"},
    ],
}


@dataclass(frozen=True)
class Api:
    client: FlaskClient
    store: Store
    settings: Settings
    launcher: MemoryLauncher
    app: Any

    def get(self, path: str) -> Any:
        response = self.client.get(f"/api/v1{path}")
        assert response.status_code == 200, response.text
        return response.json

    def post(self, path: str, body: Any = None, *, status: int = 202, headers: dict[str, str] | None = None) -> Any:
        response = self.client.post(f"/api/v1{path}", json=body or {}, headers=headers)
        assert response.status_code == status, response.text
        return response.json


def make_api(settings: Settings) -> Api:
    store = open_store(settings)
    launcher = MemoryLauncher()
    rooms = Rooms(
        settings=settings,
        store=store,
        source=Source(settings),
        launchers={launcher.name: launcher},
        notifier=Notifier(settings, store),
        intake=Intake(settings, store, Spool(settings.data_dir / "spool")),
    )
    app = api.make_app()
    api.register(app, settings, store, Actions(rooms))
    return Api(app.test_client(), store, settings, launcher, app)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Api]:
    made = make_api(Settings.model_validate({"data_dir": tmp_path / "data", **SETTINGS}))
    yield made
    made.store.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Api]:
    """The same with tokens."""
    tokens = {"tokens": [{"name": "ci", "token": TOKEN}, {"name": "old", "token": "another-one-of-some-length"}]}
    made = make_api(Settings.model_validate({"data_dir": tmp_path / "data", "auth": tokens, **SETTINGS}))
    yield made
    made.store.close()
