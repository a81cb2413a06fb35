"""Hundreds of runs that sleep: no request, no thread and hardly any processor for one more; and each end is still seen at once."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.launchers import EndReason, Life, Observation
from service.launchers.kubernetes.api import Api
from service.launchers.kubernetes.logs import FOLLOWERS
from service.store import jobs
from tests.peers.kubernetes import Image

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow]

RUNS = int(os.environ.get("SLEEPING_RUNS", "300"))
WATCHED_S = 20.0
IMAGE = "registry.test/sleeper:1"


@pytest.fixture
def sleeper(kubelet) -> Iterator[None]:
    """An image whose `python` only sleeps: what a runner does meanwhile is not the launcher's."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        program = Path(folder) / "python"
        program.write_text("#!/bin/sh\necho asleep\nexec sleep 1000\n")
        program.chmod(0o755)
        kubelet.know({IMAGE: Image(env={"PATH": f"{folder}:/usr/bin:/bin"})})
        yield


@pytest.mark.timeout(600)
def test_hundreds_of_sleeping_runs(stage, kubelet, sleeper, monkeypatch):
    asked: Counter[str] = Counter()
    send = Api._send

    def counted(self, method, path, *rest):
        asked[f"{method} {path.rpartition('/')[2]}"] += 1
        return send(self, method, path, *rest)

    monkeypatch.setattr(Api, "_send", counted)
    made = [stage.job(image=IMAGE) for _ in range(RUNS)]
    with ThreadPoolExecutor(4) as crew:
        list(crew.map(stage.launcher.ensure, made))
    ids = {job.id: 0 for job in made}
    stage.wait(lambda: len(_running(stage)) == RUNS, within_s=300)
    _claim_all(stage)
    positions = {seen.job: seen.position for seen in stage.launcher.observe(ids, 5)}
    assert set(positions.values()) == {1}

    _observe(stage, positions, 5.0)  # until logs are followed and words are said
    asked.clear()
    before, began = time.process_time(), time.monotonic()
    seen = _observe(stage, positions, WATCHED_S)
    took = time.monotonic() - began
    used = (time.process_time() - before) / took
    print(f"{RUNS} runs: {used:.1%} of a processor, {sum(asked.values()) / took:.2f} requests a second: {dict(asked)}")
    assert {one.life for one in seen} == {Life.ALIVE}
    assert sum(asked.values()) / took < 1, asked
    assert used < 0.3
    followers = [thread for thread in threading.enumerate() if thread.name == "kubernetes-log"]
    assert len(followers) <= FOLLOWERS

    victims = list(ids)[:10]
    pods = {pod["metadata"]["labels"]["mlrun-gitops.io/job"]: pod["metadata"]["name"] for pod in _running(stage)}
    for job in victims:
        kubelet.kill(stage.namespace, pods[job])
    killed, ended = time.monotonic(), dict[str, Observation]()
    while len(ended) < len(victims) and time.monotonic() < killed + 30:
        for one in stage.launcher.observe(positions, 0.5):
            if one.life is Life.GONE:
                ended[one.job] = one
                del positions[one.job]
    print(f"10 ends were told after {time.monotonic() - killed:.1f} s")
    assert {one.ended for one in ended.values()} == {EndReason.KILLED}
    assert set(ended) == set(victims)
    assert "asleep" in stage.launcher.logs(victims[0]).text


def _running(stage):
    return [pod for pod in stage.listed("pods") if pod["status"]["phase"] == "Running"]


def _claim_all(stage):
    uids = {pod["metadata"]["labels"]["mlrun-gitops.io/job"]: pod["metadata"]["uid"] for pod in _running(stage)}
    line = '{"event": "claimed", "at": "2026-01-01T00:00:00Z"}'
    now = stage.callee.store.now()

    def claim(connection):
        return all(jobs.claim(connection, job, f"{uid}_1", line, now=now) for job, uid in uids.items())

    assert stage.callee.store.write(claim)


def _observe(stage, positions, seconds):
    """As the reconciler does."""
    deadline, seen = time.monotonic() + seconds, []
    while time.monotonic() < deadline:
        seen = stage.launcher.observe(positions, 0.5)
    return seen
