"""Our own image, as `make image` builds it, on the look-alike of its base. Built once for each state of what it is made of."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tests.peers.containers.debian import ensure_python, recipe_of
from tests.peers.containers.engine import Engine

_CHECKOUT = Path(__file__).parents[3]
_REPOSITORY = "localhost/mlrun-gitops"
# What .dockerignore lets in, and what makes it.
_MADE_OF = (
    "Dockerfile",
    ".dockerignore",
    "image/build",
    "pyproject.toml",
    "requirements/service.txt",
    "service",
    "handlers",
)
# Images of other states, as other checkouts on this machine may have them, are kept this long after their last use.
_KEPT_S = 24 * 3600

# A commit's own date would make each commit's layers others.
_DATED = {"SOURCE_DATE_EPOCH": "1700000000"}


def ensure_ours(engine: Engine) -> str:
    """The name of the image; building it takes a minute."""
    base = ensure_python(engine)
    recipe = recipe_of(*_sources(), str(engine.inspect(base)["Id"]))
    tag = f"{_REPOSITORY}:{recipe}"
    used = engine.root / "ours"
    with engine.alone("ours"):
        used.mkdir(exist_ok=True)
        if not engine.has(tag):
            # Packages are installed anew only when their lock has changed; a machine's first, in CI the only one, keeps nothing
            # for a next one and is as any other build is.
            build_ours(engine, tag, *(["--layers=true"] if any(used.iterdir()) else []))
        (used / recipe).touch()
        for other in used.iterdir():
            if time.time() - other.stat().st_mtime > _KEPT_S:
                engine.podman("rmi", "--force", f"{_REPOSITORY}:{other.name}", check=False)
                other.unlink()
    return tag


def build_ours(engine: Engine, tag: str, *options: str) -> None:
    """By the script that people use."""
    done = subprocess.run(
        [str(_CHECKOUT / "image/build"), *engine.build_options(), *options],
        env={**engine.environment, "BUILDER": "buildah", "IMAGE": tag, "BASE": ensure_python(engine), **_DATED},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def _sources() -> list[Path]:
    """The files that it is made of; also those that are not committed."""
    found: list[Path] = []
    for name in _MADE_OF:
        path = _CHECKOUT / name
        if path.is_file():
            found.append(path)
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(each for each in folders if each != "__pycache__")
            found += [Path(folder, each) for each in sorted(files)]
    return found
