"""The image as the strictest pod runs it: no capability, no root, no write but to its volume and /tmp."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.store.migrations import newest
from tests.peers.containers import Container, Engine
from tests.peers.git_http import GitServer
from tests.peers.service_process import free_port, wait_for

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

TOKEN = "0123456789abcdef" * 4
LOCKED_DOWN = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
# Kubernetes' default; ours is 20 s and the rest of the way.
_GRACE_S = 30


class Served:
    """A service in a container. `volume` is this machine's folder."""

    def __init__(self, container: Container, port: int) -> None:
        self.container = container
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False)

    def ready(self) -> bool:
        assert self.container.running, self.container.log()
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def serving(engine: Engine, image: str, volume: Path, options: Sequence[str] = (), **settings: str) -> Iterator[Served]:
    port = free_port()
    words = [*LOCKED_DOWN, *mounted(volume), *options, *environment(GITOPS_SERVER__PORT=str(port), **settings)]
    with Container(engine, image, (), words) as container:
        served = Served(container, port)
        wait_for(served.ready, 60, lambda: f"the service in the container to be ready:\n{container.log()}")
        try:
            yield served
        finally:
            served.http.close()


def environment(**settings: str) -> list[str]:
    """What the image's own config.yaml leaves to whoever runs it, and `settings`."""
    asked = {
        "GITOPS_AUTH__TOKENS": f'[{{"name": "test", "token": "{TOKEN}"}}]',
        "GITOPS_SERVER__INTERNAL_URL": "http://mlrun-gitops:8080",
    }
    return [word for name, value in (asked | settings).items() for word in ("--env", f"{name}={value}")]


def mounted(volume: Path) -> list[str]:
    return ["--volume", f"{volume}:/var/lib/mlrun-gitops"]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A volume that belongs to the image's user."""
    return a_volume(tmp_path, owner=10001, group=0, mode=0o700)


def a_volume(folder: Path, *, owner: int, group: int, mode: int) -> Path:
    path = folder / "volume"
    path.mkdir()
    os.chown(path, owner, group)
    path.chmod(mode)
    return path


def test_it_serves_answers_its_health_check_and_ends_in_its_grace(engine: Engine, image: str, volume: Path) -> None:
    check = engine.inspect(image)["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    with serving(engine, image, volume) as served:
        assert served.http.get("/healthz").json() == {"status": "ok"}
        assert served.http.get("/api/v1/runs").status_code == 401
        assert served.http.get("/api/v1/runs", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert served.container.execute(*check[1:], check=False).returncode == 0
        engine.podman("kill", "--signal", "TERM", served.container.name)
        ended = served.container.wait(timeout_s=_GRACE_S)
        assert ended.returncode == 0
    assert {path.name for path in (volume / "data").iterdir()} >= {"store.db", "lock"}
    assert (volume / "data").stat().st_mode & 0o777 == 0o700


def test_its_health_check_fails_where_nobody_answers(engine: Engine, image: str) -> None:
    check = engine.inspect(image)["Healthcheck"]["Test"]
    options = [*LOCKED_DOWN, "--entrypoint", check[1], "--env", f"GITOPS_SERVER__PORT={free_port()}"]
    assert engine.run(image, *check[2:], options=options, check=False).returncode != 0


def test_what_was_stored_is_there_after_a_kill(engine: Engine, image: str, volume: Path) -> None:
    with serving(engine, image, volume) as served:
        os.kill(served.container.pid, signal.SIGKILL)
        served.container.wait(check=False)
    with serving(engine, image, volume) as served:
        assert served.http.get("/readyz").json()["status"] == "ok"


def test_it_migrates_once_and_then_has_nothing_to_do(engine: Engine, image: str, volume: Path) -> None:
    options = [*LOCKED_DOWN, *mounted(volume), *environment()]
    assert f"empty → {newest()}" in engine.run(image, "migrate", options=options).stdout
    assert "nothing to do" in engine.run(image, "migrate", options=options).stdout


def test_a_user_of_the_clusters_choice_in_group_0_can_run_it(engine: Engine, image: str, tmp_path: Path) -> None:
    """As OpenShift does it: a uid that is in no passwd, and the group that the image's folders belong to."""
    volume = a_volume(tmp_path, owner=0, group=0, mode=0o770)
    with serving(engine, image, volume, ["--user", "1000770000:0", "--passwd=false"]):
        assert (volume / "data").stat().st_uid == 1000770000


def test_a_volume_that_is_ours_by_fsgroup_alone_can_be_used(engine: Engine, image: str, tmp_path: Path) -> None:
    """As Kubernetes hands one over: it stays root's, and a group is let in."""
    volume = a_volume(tmp_path, owner=0, group=10001, mode=0o2775)
    with serving(engine, image, volume, ["--group-add", "10001"]):
        assert (volume / "data").stat().st_mode & 0o777 == 0o700


def test_a_data_dir_that_belongs_to_somebody_else_is_refused_with_the_mend(
    engine: Engine, image: str, tmp_path: Path
) -> None:
    volume = a_volume(tmp_path, owner=0, group=10001, mode=0o2775)
    options = [*LOCKED_DOWN, *mounted(volume), "--group-add", "10001"]
    said = engine.run(
        image, "migrate", options=[*options, *environment(GITOPS_DATA_DIR="/var/lib/mlrun-gitops")], check=False
    )
    assert said.returncode == 1
    assert "/var/lib/mlrun-gitops/data" in said.stderr


def test_without_tokens_it_does_not_listen_to_the_network(engine: Engine, image: str, volume: Path) -> None:
    said = engine.run(image, options=[*LOCKED_DOWN, *mounted(volume)], check=False)
    assert said.returncode == 2
    assert "the API has no tokens" in said.stderr


def test_it_fetches_a_repository_over_http(engine: Engine, image: str, volume: Path, tmp_path: Path) -> None:
    with GitServer(tmp_path / "forge") as forge:
        repository = forge.create("fraud", private=True)
        work = repository.clone(tmp_path / "work")
        commit = work.commit({"README.md": "no project yet"})
        work.push()
        listed = (
            f'[{{"name": "fraud", "url": "{repository.url}", "forge": "generic", "insecure": true, "poll": "1s", '
            f'"credentials": {{"username": "{forge.user}", "token": "{forge.password}"}}}}]'
        )
        with serving(engine, image, volume, GITOPS_REPOSITORIES=listed) as served:
            bearer = {"Authorization": f"Bearer {TOKEN}"}

            def fetched() -> bool:
                return commit in served.http.get("/api/v1/repositories/fraud", headers=bearer).text

            wait_for(fetched, 60, lambda: f"the commit to be fetched:\n{served.container.log()}")


def test_what_a_killed_git_leaves_behind_is_collected(engine: Engine, image: str, volume: Path) -> None:
    with serving(engine, image, volume) as served:
        count = "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l"
        served.container.execute("sh", "-c", "for i in 1 2 3; do (sh -c 'sleep 0.1 & sleep 0.2 &' &); done; sleep 0.5")
        wait_for(
            lambda: served.container.execute("sh", "-c", count).stdout.strip() == "0", 10, "no process to be left dead"
        )


def test_its_user_can_use_ssh(engine: Engine, image: str) -> None:
    """OpenSSH refuses a uid that is in no passwd."""
    said = engine.run(image, "-G", "git@git.example.com", options=[*LOCKED_DOWN, "--entrypoint", "ssh"])
    assert "hostname git.example.com" in said.stdout
