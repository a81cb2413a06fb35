"""The runner environment: per MLRun version a Python and a hashed lock, installed once by uv.

An environment lies at `<cache_dir>/environments/<version>-<key>`, where `key` is a hash of the lock and the
interpreter's version. It is built where it will stay (a venv can't be moved) under a file lock, and is there when its
`.ready` is, which is written last: a build that was killed is begun anew.

`python -m service.launchers.process.environment` makes it, with the settings the service would have.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.domain.mlrun_versions import SUPPORTED, row_of
from service.errors import GitopsError, RunnerEnvironmentError
from service.launchers.process import watched
from service.launchers.process.interpreter import Interpreter, find_python, for_runner
from service.launchers.process.packages import Progress, of_service
from service.launchers.process.places import cache_dir, runner_user
from service.settings import Settings, load_settings

_REQUIREMENTS = Path(__file__).resolve().parents[3] / "requirements"
_CHECK_S = 120.0
_CHECK = "import kfp, mlrun; print(mlrun.__version__, kfp.__version__)"


@dataclass(frozen=True, slots=True)
class RunnerEnvironment:
    """`python` runs with MLRun and kfp installed; `key` names exactly these packages on exactly this interpreter."""

    python: Path
    key: str
    mlrun_version: str

    @property
    def root(self) -> Path:
        return self.python.parent.parent


def ensure_environment(
    settings: Settings, progress: Progress = lambda _: None, *, live: bool = False
) -> RunnerEnvironment:
    """The environment of `mlrun.version`, installed if need be. Raises RunnerEnvironmentError.

    `live`: somebody watches, and `progress` also hears how far each step is.
    """
    environment, interpreter = planned(settings)
    build_once(environment, progress, lambda: _build(settings, environment, interpreter, progress, live=live))
    return environment


def is_installed(settings: Settings) -> bool:
    """Whether `ensure_environment` would find everything done; changes nothing. Raises RunnerEnvironmentError."""
    environment, _ = planned(settings, fetch=False)
    return _usable(environment, _ready(environment))


def lock_of(version: str) -> Path:
    """The lock of an MLRun version. Raises RunnerEnvironmentError where there is none."""
    if version not in SUPPORTED:
        raise RunnerEnvironmentError(
            f"there is no runner environment for MLRun {version}",
            mend=f"Set mlrun.version to one of {', '.join(SUPPORTED)}",
        )
    if not (lock := _REQUIREMENTS / f"runner-{version}.txt").is_file():
        raise RunnerEnvironmentError(f"the lock {lock} is missing", mend="Install the service with its requirements/")
    return lock


def planned(settings: Settings, *, fetch: bool = True) -> tuple[RunnerEnvironment, Interpreter]:
    """Where the environment is or will be, and the interpreter it is on, which is fetched where there is none."""
    version = settings.mlrun.version
    lock = lock_of(version)
    interpreter = for_runner(settings, find_python(settings, row_of(version).python, fetch=fetch))
    key = key_of(lock.read_bytes(), interpreter.version.encode(), platform.machine().encode())
    return RunnerEnvironment(root_of(settings, f"{version}-{key}") / "bin" / "python", key, version), interpreter


def key_of(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


def root_of(settings: Settings, name: str) -> Path:
    environments = cache_dir(settings) / "environments"
    environments.mkdir(mode=0o755, exist_ok=True)
    return environments / name


def build_once(environment: RunnerEnvironment, progress: Progress, build: Callable[[], None]) -> None:
    """Call `build` unless it was done, whoever asks at the same time; they wait."""
    ready = _ready(environment)
    if _usable(environment, ready):
        return
    with environment.root.with_name(f"{environment.root.name}.lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another process installs the runner environment; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if _usable(environment, ready):
            return
        shutil.rmtree(environment.root, ignore_errors=True)
        build()
        ready.touch()


def _ready(environment: RunnerEnvironment) -> Path:
    return environment.root / ".ready"


def _usable(environment: RunnerEnvironment, ready: Path) -> bool:
    """Built, and the interpreter it links to is still there."""
    return ready.exists() and environment.python.exists()


def _build(
    settings: Settings, environment: RunnerEnvironment, interpreter: Interpreter, progress: Progress, *, live: bool
) -> None:
    begun = time.monotonic()
    progress(f"installing the runner environment of MLRun {environment.mlrun_version} on {interpreter.path}")
    uv = of_service(lambda text: progress(_of_uv(text)), live=live)
    uv.run("venv", "--no-project", "--python", str(interpreter.path), str(environment.root))
    uv.run(
        *("pip", "sync", "--require-hashes", "--compile-bytecode"),
        *("--python", str(environment.python), str(lock_of(environment.mlrun_version))),
    )
    progress("importing MLRun and kfp for the first time")
    versions = _check(settings, environment)
    progress(f"the runner environment is ready after {time.monotonic() - begun:.0f} s: {versions}")


def _of_uv(text: str) -> str:
    """uv says nothing while it compiles, which takes longest where packages come from its cache."""
    return f"{text}, compiling them" if text.startswith("Installed ") else text


def _check(settings: Settings, environment: RunnerEnvironment) -> str:
    """Import MLRun and kfp as the one who will: the runner's user."""
    user = runner_user(settings)
    try:
        done = subprocess.run(
            [str(environment.python), "-c", _CHECK],
            env={"PATH": os.defpath, "HOME": "/nonexistent", "LANG": "C.UTF-8", "USER": "mlrun-gitops"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CHECK_S,
            check=False,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunnerEnvironmentError(f"the new runner environment {environment.root} does not run: {error}") from error
    said = done.stdout.split()
    if done.returncode != 0 or not said or said[-2] != environment.mlrun_version:
        raise RunnerEnvironmentError(
            f"MLRun {environment.mlrun_version} can't be imported in the new runner environment {environment.root}",
            detail=(done.stdout + done.stderr)[-4000:],
        )
    return f"mlrun {said[-2]}, kfp {said[-1]}"


def main() -> int:
    try:
        environment = _on_terminal() if sys.stderr.isatty() else ensure_environment(load_settings(), _print)
    except GitopsError as error:
        print(f"{error}\n{error.detail}".rstrip(), file=sys.stderr)  # noqa: T201
        return 1
    print(environment.python)  # noqa: T201
    return 0


def _print(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201


def _on_terminal() -> RunnerEnvironment:
    with watched.StatusLine("Runner environment") as line:
        return ensure_environment(load_settings(), line.say, live=True)


if __name__ == "__main__":
    sys.exit(main())
