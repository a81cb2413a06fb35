"""What images are built on: a Debian made by debootstrap, as `debian:bookworm-slim` is, and Debian's Python on it in the
place of `python:3.11-slim-bookworm`.

What differs from the ones of Docker's library: the interpreter is Debian's own in /usr/bin (theirs is compiled from source
into /usr/local; `python` there leads to ours), pip lies in /usr/local as theirs does but is the one that Debian ships, there
is no setuptools, and packages are as new as the mirror has them. A layer is not theirs, byte for byte, in any case.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.peers.containers.engine import Engine

DEBIAN = "localhost/debian:bookworm-slim"
PYTHON = "localhost/python:3.11-slim-bookworm"

_RECIPE = "recipe"
_HERE = Path(__file__).parent


def ensure_debian(engine: Engine) -> str:
    """The name of the image, made where it is not there or was made by another recipe; that takes a minute."""
    script = _HERE / "debian.sh"
    recipe = recipe_of(script)
    with engine.alone("debian"):
        if engine.label(DEBIAN, _RECIPE) != recipe:
            _import(engine, script, recipe)
    return DEBIAN


def _import(engine: Engine, script: Path, recipe: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="debian.", dir=engine.root))
    try:
        subprocess.run(["sh", str(script), str(folder / "root")], check=True, stdin=subprocess.DEVNULL, timeout=900)
        archive = folder / "root.tar"
        subprocess.run(["tar", "-C", str(folder / "root"), "-cf", str(archive), "."], check=True)
        engine.podman(
            "import", "--change", "CMD=/bin/bash", "--change", f"LABEL={_RECIPE}={recipe}", str(archive), DEBIAN
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def ensure_python(engine: Engine) -> str:
    """The look-alike of `python:3.11-slim-bookworm`."""
    base = ensure_debian(engine)
    context = _HERE / "python-slim"
    recipe = recipe_of(context / "Dockerfile", str(engine.inspect(base)["Id"]))
    with engine.alone("python"):
        if engine.label(PYTHON, _RECIPE) != recipe:
            engine.build(context, PYTHON, arguments={"BASE": base}, options=["--label", f"{_RECIPE}={recipe}"])
    return PYTHON


def recipe_of(*parts: Path | str) -> str:
    """A name for what comes of these files, and words."""
    read = (part.read_bytes() if isinstance(part, Path) else part.encode() for part in parts)
    return hashlib.sha256(b"\0".join(read)).hexdigest()[:16]
