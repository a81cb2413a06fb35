"""The service as its users run it, killed again and again around a pod: nothing is lost, nothing is there twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.launchers import JobKind
from service.settings import Settings
from service.source import Source
from service.store import jobs, open_store
from service.store.jobs import PodJob
from tests.integration.source.conftest import Place, forge, place, place_for
from tests.peers.pod import Pod, token_of_pod
from tests.peers.service_process import ServiceProcess
from tests.waiting import until

__all__ = ["forge", "place", "place_for"]

pytestmark = pytest.mark.slow

LINES = 60
SCRIPT = f"""
import hashlib
emit("seen", sha=hashlib.sha256(open("large", "rb").read()).hexdigest())
for n in range({LINES}):
    emit("step.started", step=str(n))
    time.sleep(0.1)
"""
LARGE = random.Random(7).randbytes(8_000_000)  # it does not get smaller


@pytest.fixture
def service(place: Place, tmp_path: Path) -> Iterator[ServiceProcess]:
    """Its store has one job of a pod, whose files are in the mirror."""
    commit = place.push({"large": LARGE})
    url = place.repository.url
    process = ServiceProcess(
        tmp_path / "service",
        {
            "repositories": [{"name": "fraud", "url": url, "webhook_secrets": "insecure", "poll": "0"}],
            "launcher": {"warm": False},  # of runners there are none
        },
    )
    settings = Settings(data_dir=process.data_dir, repositories=(place.setting,))
    store, source = open_store(settings), Source(settings)
    source.fetch(place.setting)
    source.close()
    job = {"version": 1, "id": "one", "kind": "run", "script": SCRIPT}
    row = PodJob(
        id="one",
        launcher="process",  # one that the service has, which ends what others began, and that keeps no such rows
        kind=JobKind.RUN,
        repository="fraud",
        commit=commit,
        document={"job": job, "needs": {}, "look_s": 0.3, "flush_s": 60.0},
        created_at=1.0,
    )
    store.write(lambda conn: jobs.add(conn, row))
    secret = tmp_path / "secret"
    secret.mkdir()
    for name, text in {"id": "one", "url": process.url, "token": token_of_pod(store, "one")}.items():
        (secret / name).write_text(text)
    store.close()
    yield process.start()
    process.close()


def test_every_line_is_there_once(
    service: ServiceProcess, tmp_path: Path, old_python: Path, program: Path, faults: int
) -> None:
    service.wait_ready()
    pod = Pod(tmp_path / "pod", old_python, program, tmp_path / "secret")
    try:
        for n in range(faults):
            _wait_for_lines(pod, LINES * (n + 1) // (faults + 2))
            service.kill(master=n % 2 == 0, worker=True)
            service.keep_alive()
        assert pod.wait(120) == 0, pod.log
    finally:
        pod.close()
    service.stop()
    store = open_store(Settings(data_dir=service.data_dir))
    with store.read() as conn:
        lines = [json.loads(line) for line in jobs.lines(conn, "one", 0, 1000)]
    store.close()
    assert [line["event"] for line in lines] == ["claimed", "seen", *["step.started"] * LINES, "finished"]
    assert [line["step"] for line in lines[2:-1]] == [str(n) for n in range(LINES)]
    assert lines[1]["sha"] == hashlib.sha256(LARGE).hexdigest()


def _wait_for_lines(pod: Pod, count: int) -> None:
    written = pod.folder / "events.jsonl"
    until(lambda: written.exists() and written.read_text().count("\n") > count, "the runner to go on", 60)


def test_readers_that_go_away_hold_nothing(service: ServiceProcess, tmp_path: Path) -> None:
    """More of them than there are threads; each goes in the middle of the answer."""
    service.wait_ready()
    token = (tmp_path / "secret" / "token").read_text()
    asks = f"GET /runner/v1/jobs/one/source HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    for _ in range(40):
        with socket.create_connection(("127.0.0.1", service.port), 10) as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.sendall(asks.encode())
            until(lambda: b"200 OK" in reader.recv(4096, socket.MSG_PEEK), "an answer")
    address = "/runner/v1/jobs/one/source"
    headers = {"Authorization": f"Bearer {token}"}
    until(lambda: service.http.get(address, headers=headers).status_code == 200, "a whole answer")
    open_files = [path.name for pid in service.workers() for path in _open_files(pid)]
    assert not [name for name in open_files if name.endswith(".tar.gz")]


def _open_files(pid: int) -> list[Path]:
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(entry.readlink())
    return found
