"""The images that take minutes, made before the tests that wait for them: `make peers` does."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from tests.peers.containers.debian import ensure_python
from tests.peers.containers.engine import engine, lacking
from tests.peers.containers.lookalikes import PLAIN, VARIANTS, ensure_mlrun_kfp


def obtain(say: Callable[[str], None]) -> None:
    """Raises RunnerEnvironmentError where there is no Python 3.9; where a build fails, a test will say so again."""
    if lacking():
        return
    say("images: Debian with Python, and the look-alikes of mlrun/mlrun-kfp")
    try:
        ensure_python(engine())
        for variant in (PLAIN, *VARIANTS):
            ensure_mlrun_kfp(engine(), variant)
    except (AssertionError, subprocess.SubprocessError) as error:
        say(f"images: {error}")
