from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from service.errors import RunnerEnvironmentError
from service.launchers.process import interpreter
from service.launchers.process.interpreter import find_python
from service.settings import LauncherSettings, Mlrun, Settings

WANTED = f"{sys.version_info[0]}.{sys.version_info[1]}"
SHIM = "#!/bin/sh\necho \"pyenv: python{0}: command not found\" >&2\necho 'The command exists in these versions:' >&2\nexit 127\n"
REAL = f'#!/bin/sh\nexec {sys.executable} "$@"\n'


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no Python but what a test puts there; uv is offline."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setattr(interpreter, "_PYENV_ROOTS", ())
    monkeypatch.setattr(interpreter, "_ELSEWHERE", ())
    monkeypatch.setattr(interpreter, "_OWN", replace(interpreter._OWN, version="3.4.0"))
    monkeypatch.setattr("service.launchers.process.places.runner_user", lambda _: None)
    return tmp_path


def put(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script.format(WANTED))
    path.chmod(0o755)
    return path


def settings(machine: Path, **launcher: object) -> Settings:
    return Settings(launcher=LauncherSettings(cache_dir=machine / "cache", **launcher))


def test_one_on_path_is_taken(machine: Path) -> None:
    put(machine / "bin" / f"python{WANTED}", REAL)
    found = find_python(settings(machine), WANTED)
    assert found.version == ".".join(map(str, sys.version_info[:3]))


def test_a_shim_that_answers_127_is_passed_over(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{machine}/shims:{machine}/bin")
    put(machine / "shims" / f"python{WANTED}", SHIM)
    put(machine / "bin" / f"python{WANTED}", REAL)
    assert find_python(settings(machine), WANTED).version.startswith(WANTED)


def test_behind_a_shim_the_newest_of_pyenv_is_found(machine: Path) -> None:
    put(machine / "bin" / f"python{WANTED}", SHIM)
    for patch in (2, 10):
        put(machine / "pyenv" / "versions" / f"{WANTED}.{patch}" / "bin" / f"python{WANTED}", REAL)
    asked: list[Path] = []
    real_ask = interpreter.ask

    def ask(path: Path, user: int | None = None) -> object:
        asked.append(path)
        return real_ask(path, user)

    with pytest.MonkeyPatch.context() as patcher:
        patcher.setattr(interpreter, "ask", ask)
        find_python(settings(machine), WANTED)
    assert asked[-1].parts[-3] == f"{WANTED}.10"


def test_the_one_asked_for_is_the_only_one_tried(machine: Path) -> None:
    put(machine / "bin" / f"python{WANTED}", REAL)
    broken = put(machine / "other" / "python", SHIM)
    with pytest.raises(RunnerEnvironmentError) as raised:
        find_python(settings(machine, runner_python=broken), WANTED)
    assert f"{broken} (launcher.runner_python): exit code 127" in raised.value.detail
    assert "/bin/python" not in raised.value.detail.replace(str(broken), "")


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        (SHIM, f"exit code 127, said: pyenv: python{WANTED}: command not found"),
        ("#!/bin/sh\necho hello\n", "it ran, but is no Python"),
        ("#!/no/such/interpreter\n", "No such file or directory"),
        ("\0\0\0", "Exec format error"),
    ],
)
def test_without_any_the_error_says_what_was_tried_and_what_to_do(machine: Path, script: str, answer: str) -> None:
    there = put(machine / "bin" / f"python{WANTED}", script)
    with pytest.raises(RunnerEnvironmentError) as raised:
        find_python(settings(machine), WANTED)
    error = raised.value
    assert f"No Python {WANTED} that runs was found" in str(error)
    for way in (
        f"uv python install {WANTED}",
        f"pyenv install {WANTED}",
        f"apt-get install python{WANTED}",
        "launcher.runner_python",
    ):
        assert way in error.mend
    assert f"- {there} (PATH): {answer}" in error.detail
    assert "uv python install: exit code" in error.detail


def test_the_services_own_does_where_it_is_of_the_right_version(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "_OWN", replace(interpreter._OWN, version=f"{WANTED}.0"))
    assert find_python(settings(machine), WANTED).version.startswith(WANTED)


def test_one_asked_for_that_mlrun_cannot_use_is_named_with_its_version(machine: Path) -> None:
    of_1_9 = put(machine / "other" / "python", REAL)
    with pytest.raises(RunnerEnvironmentError) as raised:
        find_python(Settings(mlrun=Mlrun(version="1.9.2"), launcher=LauncherSettings(runner_python=of_1_9)), "3.9")
    assert "No Python 3.9 that runs was found; MLRun 1.9.2 workflows need one" in str(raised.value)
    assert raised.value.mend == "Set launcher.runner_python to a Python 3.9, or leave it out, and one is looked for"
    assert f"{of_1_9} (launcher.runner_python): it is Python 3.1" in raised.value.detail


def test_only_looking_fetches_nothing(machine: Path) -> None:
    with pytest.raises(RunnerEnvironmentError) as raised:
        find_python(settings(machine), WANTED, fetch=False)
    assert "uv python find" in raised.value.detail
    assert "uv python install" not in raised.value.detail


def test_another_version_under_that_name_is_not_taken(machine: Path) -> None:
    put(machine / "bin" / "python3.4", REAL)
    with pytest.raises(RunnerEnvironmentError) as raised:
        find_python(settings(machine), "3.4")
    assert "(PATH): it is Python 3.1" in raised.value.detail
