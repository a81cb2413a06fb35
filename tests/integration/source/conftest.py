"""A forge, a repository on it, somebody's clone, and a Source that mirrors it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from service.settings import Credentials, Repository, Settings
from service.source import Source, Tips
from tests.peers.git_http import GitRepository, GitServer, WorkingCopy


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "forge") as server:
        yield server


def let_in(username: str | None, token: str) -> Credentials:
    return Credentials(username=username, token=SecretStr(token))


@dataclass
class Place:
    """One repository with everything around it."""

    repository: GitRepository
    work: WorkingCopy
    setting: Repository
    source: Source
    data: Path
    out: Iterator[Path]

    def fetch(self) -> Tips:
        return self.source.fetch(self.setting)

    def push(self, files: dict[str, str | bytes | None], message: str = "Change") -> str:
        commit = self.work.commit(files, message)
        self.work.push()
        return commit

    def checkout(self, commit: str, path: str = ".") -> Path:
        return self.source.checkout(self.setting.name, commit, next(self.out), path).path

    @property
    def mirror(self) -> Path:
        return self.data / "mirrors" / f"{self.setting.name}.git"

    def restarted(self, **timeouts: float) -> Source:
        """A new process's Source over the same data_dir."""
        return Source(Settings(data_dir=self.data, repositories=(self.setting,)), **timeouts)


@pytest.fixture
def place_for(tmp_path: Path) -> Callable[[GitRepository], Place]:
    def make(repository: GitRepository, credentials: Credentials | None = None) -> Place:
        setting = Repository(
            name="fraud", url=repository.url, webhook_secrets="insecure", credentials=credentials or Credentials()
        )
        data = tmp_path / "data"
        source = Source(Settings(data_dir=data, repositories=(setting,)), timeout_s=20, clone_timeout_s=20)
        out = (tmp_path / "out" / str(n) for n in itertools.count())
        return Place(repository, repository.clone(tmp_path / "work"), setting, source, data, out)

    return make


@pytest.fixture
def place(forge: GitServer, place_for: Callable[[GitRepository], Place]) -> Place:
    """An empty public repository."""
    return place_for(forge.create("ml/fraud"))
