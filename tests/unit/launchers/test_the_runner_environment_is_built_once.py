from __future__ import annotations

import threading
from pathlib import Path

import pytest

from service.domain.mlrun_versions import SUPPORTED
from service.errors import RunnerEnvironmentError
from service.launchers.process.environment import (
    RunnerEnvironment,
    build_once,
    ensure_environment,
    lock_of,
)
from service.settings import Mlrun, Settings


@pytest.fixture
def environment(tmp_path: Path) -> RunnerEnvironment:
    return RunnerEnvironment(tmp_path / "1.9.2-key" / "bin" / "python", "key", "1.9.2")


class Build:
    def __init__(self, environment: RunnerEnvironment) -> None:
        self.environment = environment
        self.times = 0

    def __call__(self) -> None:
        self.times += 1
        self.environment.python.parent.mkdir(parents=True)
        self.environment.python.touch()


def test_whoever_asks_at_the_same_time_waits_and_is_told(environment: RunnerEnvironment) -> None:
    build = Build(environment)
    inside, go, told = threading.Event(), threading.Event(), list[str]()

    def slow() -> None:
        inside.set()
        assert go.wait(30)
        build()

    first = threading.Thread(target=build_once, args=(environment, lambda _: None, slow))
    first.start()
    assert inside.wait(30)

    def hear(line: str) -> None:
        told.append(line)
        go.set()  # only once the second one really waits

    build_once(environment, hear, build)
    first.join()
    assert build.times == 1
    assert told == ["another process installs the runner environment; waiting for it"]


def test_a_build_that_was_killed_is_begun_anew(environment: RunnerEnvironment) -> None:
    build = Build(environment)

    def killed() -> None:
        build()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_once(environment, lambda _: None, killed)
    (environment.root / "half").touch()
    build_once(environment, lambda _: None, build)
    assert build.times == 2
    assert not (environment.root / "half").exists()


def test_an_environment_whose_interpreter_went_away_is_built_anew(environment: RunnerEnvironment) -> None:
    build = Build(environment)
    build_once(environment, lambda _: None, build)
    environment.python.unlink()
    environment.python.symlink_to("/no/such/python")
    build_once(environment, lambda _: None, build)
    assert build.times == 2


def test_another_mlrun_is_refused_with_the_list() -> None:
    other = Settings(mlrun=Mlrun.model_construct(version="1.7.2"))  # type: ignore[arg-type]  # settings refuse it, too
    with pytest.raises(RunnerEnvironmentError, match=r"MLRun 1\.7\.2.*one of 1\.8\.0, 1\.9\.2, 1\.10\.4, 1\.12\.1"):
        ensure_environment(other)


@pytest.mark.parametrize("version", SUPPORTED)
def test_every_lock_is_there_pins_its_mlrun_and_has_hashes(version: str) -> None:
    lines = lock_of(version).read_text().splitlines()
    assert any(line.startswith((f"mlrun=={version} ", f"mlrun[kfp18]=={version} ")) for line in lines)
    assert any("--hash=sha256:" in line for line in lines)
    assert not [line for line in lines if line.startswith(("--index", "--extra", "-i "))]
