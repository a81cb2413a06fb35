"""Each replica is stopped and started in turn while webhooks go on coming: nobody notices."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Self

import pytest

from tests.faults.replicas.replicas import Replica, Replicas
from tests.peers.forge import SECRET, deliver, push_payload, signed
from tests.peers.git_http import GitServer
from tests.peers.postgres import Postgres
from tests.peers.service_process import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(600)]

SENDERS = 3
# Ten times as long as between two looks of who spreads the requests.
DRAIN = "3s"


class Senders:
    """Forges that deliver one after the other, to whoever's turn it is."""

    def __init__(self, replicas: Replicas, commit: str) -> None:
        self.said: Counter[int | None] = Counter()
        self.by: Counter[int] = Counter()
        self._replicas = replicas
        self._payload = push_payload("ada/team", None, commit)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(SENDERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def _send(self) -> None:
        while not self._ended.wait(0.02):
            replica = self._replicas.one()
            answer = None if replica is None else deliver(replica.http, "team", *signed(self._payload))
            self.said[None if answer is None else answer.status_code] += 1
            if replica is not None:
                self.by[replica.port] += 1


def test_every_delivery_is_acknowledged_while_all_are_restarted(open_path: Path) -> None:
    forge = GitServer(open_path / "forge").start()
    repository = forge.create("team")
    work = repository.clone(open_path / "work")
    commit = work.commit({"readme": "no project here"}, "First")
    work.push()
    config = {
        "repositories": [{"name": "team", "url": repository.url, "webhook_secrets": [SECRET], "poll": 0}],
        "launcher": {"runs_dir": str(open_path / "runs"), "warm": False},
        "server": {"drain": DRAIN},
    }
    with Postgres() as server:
        replicas = Replicas(open_path, config, {}, server)
        try:
            replicas.start().wait_ready()
            with Senders(replicas, commit) as senders:
                for replica in replicas.all_of_them:
                    _restart(replicas, replica)
            assert senders.said.keys() == {202}, f"{senders.said}\n{replicas.tail()}"
            assert len(senders.by) == len(replicas.all_of_them)
            kept = replicas.query("SELECT count(*) FROM deliveries WHERE state IN ('accepted', 'duplicate')")
            assert kept == [(senders.said[202],)]
            print(f"\n{senders.said[202]} deliveries while {len(senders.by)} replicas were restarted in turn")
        finally:
            replicas.close()
            forge.stop()


def _restart(replicas: Replicas, replica: Replica) -> None:
    before = replica.workers()
    replica.signal_master(signal.SIGTERM)
    wait_for(lambda: not replica.alive(), 60, lambda: f"{before} to end\n{replica.tail()}")
    replica.start()
    replicas.wait_ready()
