"""Pods as processes, and the service that they call."""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.errors import RunnerEnvironmentError
from service.launchers.process.interpreter import find_python
from service.settings import Settings, load_settings
from service.source.archive import Archive, Archives
from tests.peers.pod import Callee, Pod, fake_program

FILES = {"a.txt": b"a", "folder/b.txt": b"b"}


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_program(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="session")
def old_python() -> Path:
    """A Python 3.9 where there is one, as in the stock image; without packages."""
    try:
        return find_python(load_settings(environ={}), "3.9", fetch=False).path
    except RunnerEnvironmentError:
        return Path(sys.executable)


@pytest.fixture
def files() -> dict[str, bytes]:
    return dict(FILES)


@pytest.fixture
def callee(tmp_path: Path, files: dict[str, bytes]) -> Iterator[Callee]:
    archives = Archives(tmp_path / "archives")
    called = Callee(
        Settings(data_dir=tmp_path / "data"),
        lambda _repository, commit: _open(archives, commit, files),
    )
    with called:
        yield called


def _open(archives: Archives, commit: str, files: dict[str, bytes]) -> Archive:
    return archives.open(commit, lambda file: file.write(packed(files)))


@pytest.fixture
def start(tmp_path: Path, callee: Callee, program: Path, old_python: Path) -> Iterator[Callable[..., Pod]]:
    """Starts a pod of a job; the second of one job is another pod."""
    pods: list[Pod] = []

    def begin(
        job: str = "one",
        *,
        python: Path | None = None,
        base: Path | None = None,
        secret: dict[str, str] | None = None,
        **environment: str,
    ) -> Pod:
        place = base or tmp_path / f"pod-{len(pods)}"
        given = callee.secret(place / "secret", job, **(secret or {}))
        pods.append(Pod(place, python or old_python, program, given, environment))
        return pods[-1]

    yield begin
    for pod in pods:
        pod.close()
