"""The Python 3.9 environment of the API server, which lies beside the runner environments and is made as they are."""

from __future__ import annotations

import platform
from pathlib import Path

from service.errors import GitopsError
from service.launchers.process.environment import RunnerEnvironment, build_once, key_of, root_of
from service.launchers.process.interpreter import Interpreter, find_python, for_runner
from service.launchers.process.packages import Progress, of_service
from service.settings import load_settings

VERSION = "1.5.2"
_PYTHON = "3.9"
_LOCK = Path(__file__).parents[3] / "requirements" / "peer-mlrun-api.txt"


def lacking() -> str | None:
    """How to get it; None when it is installed."""
    try:
        environment, _ = _planned(fetch=False)
    except GitopsError as error:
        return str(error)
    ready = (environment.root / ".ready").exists() and environment.python.exists()
    return None if ready else f"no environment of the MLRun API server {VERSION}; make peers"


def obtain(progress: Progress = lambda _: None) -> Path:
    """Its interpreter, installed if need be. Raises RunnerEnvironmentError."""
    environment, interpreter = _planned()

    def build() -> None:
        progress(f"installing the MLRun API server {VERSION} on {interpreter.path}")
        uv = of_service(progress)
        uv.run("venv", "--no-project", "--python", str(interpreter.path), str(environment.root))
        words = ("pip", "sync", "--require-hashes", "--compile-bytecode")
        uv.run(*words, "--python", str(environment.python), str(_LOCK))

    build_once(environment, progress, build)
    return environment.python


def _planned(*, fetch: bool = True) -> tuple[RunnerEnvironment, Interpreter]:
    settings = load_settings(environ={})
    interpreter = for_runner(settings, find_python(settings, _PYTHON, fetch=fetch))
    key = key_of(_LOCK.read_bytes(), interpreter.version.encode(), platform.machine().encode())
    root = root_of(settings, f"api-{VERSION}-{key}")
    return RunnerEnvironment(root / "bin" / "python", key, VERSION), interpreter
