"""A thousand deliveries over 32 connections, and the power goes in the middle: every 202 is kept, and nothing else got in."""

from __future__ import annotations

import http.client
import json
import os
import queue
import random
import signal
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from service import limits
from service.domain.states import DeliveryState
from service.receiver import Spool
from service.settings import load_settings
from service.store import deliveries, open_store, work
from tests.integration.webhooks.running import Running, eventually, is_alive, write_config
from tests.unit.receiver.sample import SECRET, changed, github

pytestmark = pytest.mark.faults

DELIVERIES = 1000
CONNECTIONS = 32
REPOSITORIES = ["fraud", "churn", "demand"]


@dataclass(frozen=True)
class Shot:
    """One request. `good` is False where the signature is wrong."""

    forge_id: str
    repository: str
    body: bytes
    good: bool

    @property
    def headers(self) -> dict[str, str]:
        return github("push", self.body, secret=SECRET if self.good else b"guessed", delivery=self.forge_id)


@dataclass(frozen=True)
class Answered:
    shot: Shot
    status: int
    delivery: str | None


def make_shots(chance: random.Random, round_: int) -> list[Shot]:
    """Pushes in no order, among them the same ones again, large ones, and ones that nobody of ours signed."""
    shots: list[Shot] = []
    for i in range(DELIVERIES):
        kind = chance.random()
        earlier = [shot for shot in shots if shot.good]
        if kind < 0.15 and earlier:
            shots.append(chance.choice(earlier))
            continue
        repository = chance.choice(REPOSITORIES)
        content = changed("push", "after", f"{i + 1:040x}") | {"repository": {"full_name": f"ml/{repository}"}}
        if kind > 0.995:
            content["padding"] = chance.randbytes(limits.MIB).hex()
        shots.append(Shot(f"{round_}-{i}", repository, json.dumps(content).encode(), good=not 0.15 <= kind < 0.3))
    chance.shuffle(shots)
    return shots


def fire(service: Running, shots: list[Shot], kill_after: int) -> list[Answered]:
    """Everything over 32 connections; master and worker are killed once `kill_after` were acknowledged."""
    waiting: queue.SimpleQueue[Shot] = queue.SimpleQueue()
    for shot in shots:
        waiting.put(shot)
    answered: list[Answered] = []
    enough = threading.Event()

    def send_all() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
        try:
            while not waiting.empty():
                shot = waiting.get_nowait()
                connection.request("POST", f"/webhooks/github/{shot.repository}", shot.body, shot.headers)
                answer = connection.getresponse()
                told = json.loads(answer.read())
                answered.append(Answered(shot, answer.status, told.get("delivery")))
                if len(answered) >= kill_after:
                    enough.set()
        except (OSError, http.client.HTTPException, queue.Empty):
            return
        finally:
            connection.close()

    worker = service.worker()
    senders = [threading.Thread(target=send_all) for _ in range(CONNECTIONS)]
    for sender in senders:
        sender.start()
    assert enough.wait(60), f"only {len(answered)} answers"
    for pid in (service.master, worker):
        os.kill(pid, signal.SIGKILL)
    for sender in senders:
        sender.join()
    service.end()
    eventually("the worker is gone", lambda: not is_alive(worker))
    return answered


def test_every_202_is_in_the_store_after_an_immediate_kill(tmp_path: Path, faults: int) -> None:
    seed = int(os.environ.get("GITOPS_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
    print(f"GITOPS_TEST_SEED={seed}")
    chance = random.Random(seed)
    own = {"webhook_secrets": [SECRET.decode()]}
    config = write_config(
        tmp_path,
        {
            "server": {"port": 0},
            "repositories": [{"name": n, "url": f"https://git.example.com/ml/{n}.git", **own} for n in REPOSITORIES],
        },
    )
    kept: list[Answered] = []
    for round_ in range(faults):
        shots = make_shots(chance, round_)
        service = Running(config, tmp_path / "log")
        answered = fire(service, shots, kill_after=chance.randrange(50, DELIVERIES * 7 // 10))
        counts = Counter(a.status for a in answered)
        assert counts.keys() <= {202, 401}
        assert len(answered) < DELIVERIES
        assert all((a.status == 202) == a.shot.good for a in answered)
        kept += [a for a in answered if a.status == 202]
        assert_all_kept(config, kept)
        assert_nothing_else_got_in(config, {s.forge_id for s in shots if s.good})


def assert_all_kept(config: Path, kept: list[Answered]) -> None:
    settings = load_settings(config)
    spool = Spool(settings.data_dir / "spool")
    store = open_store(settings)
    try:
        with store.read() as connection:
            for a in kept:
                assert a.delivery is not None
                row = deliveries.get(connection, a.delivery)
                assert row.forge_id == a.shot.forge_id
                assert row.state in (DeliveryState.ACCEPTED, DeliveryState.DUPLICATE)
                if row.parsed:
                    assert work.is_open(connection, "fetch", a.shot.repository)
                else:
                    assert work.is_open(connection, "parse", row.id)
                    assert row.spool is not None
                    assert spool.get(row.spool) == a.shot.body
            firsts = Counter(r.forge_id for r in _all(connection) if r.state is DeliveryState.ACCEPTED)
            assert set(firsts.values()) == {1}
    finally:
        store.close()


def assert_nothing_else_got_in(config: Path, signed: set[str]) -> None:
    """Of this round's ids only signed ones are there as anything but rejected."""
    round_ = next(iter(signed)).partition("-")[0]
    store = open_store(load_settings(config))
    try:
        with store.read() as connection:
            inside = {r.forge_id for r in _all(connection) if r.state is not DeliveryState.REJECTED}
    finally:
        store.close()
    assert {i for i in inside if i is not None and i.startswith(f"{round_}-")} <= signed


def _all(connection):
    cursor = None
    while True:
        rows, cursor = deliveries.page(connection, limit=limits.PAGE_MAX, cursor=cursor)
        yield from rows
        if cursor is None:
            return
