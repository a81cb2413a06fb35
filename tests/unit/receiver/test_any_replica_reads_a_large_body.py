"""A body that is accepted unparsed by one replica may be parsed by another, which has another disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service import limits
from service.domain.states import DeliveryState
from service.receiver import Intake, Spool
from service.settings import Settings
from service.store import deliveries, open_store, work
from tests.peers.postgres import Postgres
from tests.unit.receiver.sample import SECRET, changed, github

pytestmark = pytest.mark.postgres


def test_it_lies_in_the_store_until_it_is_parsed(tmp_path: Path) -> None:
    content = changed("push", "after", "b" * 40) | {"padding": "x" * (limits.WEBHOOK_INLINE_PARSE_BYTES + 1)}
    body = json.dumps(content).encode()
    with Postgres() as server, server.database() as url:
        own = {"name": "fraud", "url": "https://git.example.com/ml/fraud.git", "webhook_secrets": [SECRET.decode()]}
        plain = {"store": {"url": url}, "repositories": [own]}
        settings = [Settings.model_validate({**plain, "data_dir": str(tmp_path / n)}) for n in ("one", "other")]
        stores = [open_store(one) for one in settings]
        takes, parses = (
            Intake(one, store, Spool(one.data_dir / "spool")) for one, store in zip(settings, stores, strict=True)
        )
        said = takes.receive("github", "fraud", github("push", body), body)
        assert said.delivery is not None
        with stores[1].read() as conn:
            assert work.is_open(conn, "parse", said.delivery)
        parses.parse_spooled(said.delivery)
        with stores[1].read() as conn:
            row = deliveries.get(conn, said.delivery)
        assert (row.state, row.parsed, row.after, row.body) == (DeliveryState.ACCEPTED, True, "b" * 40, None)
        assert not list(tmp_path.glob("*/spool/*"))
        for intake, store in zip((takes, parses), stores, strict=True):
            intake.close()
            store.close()
