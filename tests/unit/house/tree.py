"""The checkout as its own tests see it."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[3]


@cache
def files(suffix: str, *folders: str) -> tuple[Path, ...]:
    """What git tracks, or would: neither ignored nor deleted."""
    # A checkout may be somebody else's (mounted into a container).
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        *folders,
    ]
    said = subprocess.run(command, cwd=HOUSE, check=True, capture_output=True, text=True).stdout
    found = (HOUSE / name for name in said.split("\0") if name.endswith(suffix))
    return tuple(sorted({path for path in found if path.is_file()}))


def modules() -> tuple[Path, ...]:
    """Everything that runs: the service and its handlers."""
    return files(".py", "service", "handlers")


def name(path: Path) -> str:
    return path.relative_to(HOUSE).as_posix()
