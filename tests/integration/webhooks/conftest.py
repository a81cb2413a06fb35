"""The webhook side over a real store, asked through the WSGI app as a forge asks it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.receiver import Intake, Spool
from service.settings import Settings
from service.store import Store, deliveries, open_store, work
from service.store.deliveries import Delivery
from tests.integration.webhooks.service import make_app
from tests.unit.receiver.sample import SECRET, github

OTHER_SECRET = b"the next secret, while rotating"
HOOK_SECRET = b"a secret of the organisation"


def settings_in(data_dir: Path) -> Settings:
    own = {"webhook_secrets": [SECRET.decode(), OTHER_SECRET.decode()]}
    return Settings.model_validate(
        {
            "data_dir": data_dir,
            "repositories": [
                {"name": "fraud", "url": "https://git.example.com/ml/fraud.git", **own},
                {"name": "churn", "url": "https://git.example.com/ML/Churn", **own},
                {"name": "scripts", "url": "https://git.example.com/ml/scripts.git", "forge": "generic", **own},
                {"name": "open", "url": "https://git.example.com/ml/open.git", "webhook_secrets": "insecure"},
                {"name": "other-team", "url": "https://git.example.com/web/shop.git", **own},
            ],
            "hooks": [{"name": "org", "webhook_secrets": [HOOK_SECRET.decode()], "repositories": ["fraud", "ch*"]}],
        }
    )


@dataclass
class Service:
    """The app, and a look into its store."""

    settings: Settings
    store: Store
    intake: Intake
    client: FlaskClient
    told: list[Delivery] = field(default_factory=list)

    def post(self, path: str, content: Any, headers: dict[str, str]) -> TestResponse:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.client.post(path, data=body, headers=headers)

    def send(
        self,
        content: Any,
        event: str = "push",
        *,
        path: str = "/webhooks/github/fraud",
        secret: bytes = SECRET,
        **headers: str,
    ) -> TestResponse:
        """A delivery of GitHub's, signed."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.post(path, body, github(event, body, secret=secret, **headers))

    def delivery(self, answer: TestResponse) -> Delivery:
        assert answer.json is not None
        return self.delivery_of(answer.json["delivery"])

    def delivery_of(self, delivery_id: str) -> Delivery:
        with self.store.read() as connection:
            return deliveries.get(connection, delivery_id)

    def deliveries(self) -> list[Delivery]:
        """Newest first."""
        with self.store.read() as connection:
            return deliveries.page(connection)[0]

    def wanted(self, kind: str) -> dict[str, int]:
        """Key → how often it was asked for."""
        with self.store.read() as connection:
            return {row.key: row.wanted for row in work.waiting(connection, [kind])}

    def rejected(self) -> list[Delivery]:
        """Those that were recorded by the thread that records them; there is nothing to wait for after it ended."""
        self.intake.close()
        return [d for d in self.deliveries() if d.state == "rejected"]


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    made: list[Service] = []

    def make(store: Store | None = None) -> Service:
        settings = settings_in(tmp_path / "data")
        store = store or open_store(settings)
        told: list[Delivery] = []
        spool = Spool(settings.data_dir / "spool")
        intake = Intake(settings, store, spool, on_rejected=lambda _, delivery: told.append(delivery))
        client = make_app(settings, store, intake).test_client()
        made.append(Service(settings, store, intake, client, told))
        return made[-1]

    yield make
    for service in made:
        service.intake.close()
        service.store.close()


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    return make_service()
