"""MLRun's versions: which images each has, which Python they hold, and which versions we have a runner environment for.

The one table of its kind. `images` reads it to name images; the process launcher to make the environment that stands
for the runner image; `requirements/lock` to lock it; the settings to say what may be chosen. Sources: MLRun's own
`enrich_image_url`, recorded in tests/unit/images/recorded, and its server's choice of the workflow runner's image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

MLRUN = "mlrun/mlrun"
MLRUN_KFP = "mlrun/mlrun-kfp"
# How the tag of an image for Python 3.9 ends where the same version has one for 3.11 too.
SUFFIX = "-py39"

# For these there is a hashed lock, requirements/runner-<version>.txt.
Supported = Literal["1.8.0", "1.9.2", "1.10.4", "1.12.1"]
SUPPORTED: tuple[Supported, ...] = get_args(Supported)
DEFAULT: Supported = "1.9.2"

Number = tuple[int, int, int]
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})(?:[-.+a-z].*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Versions of MLRun that have the same images, from `since` up to the next row.

    `runner` is the workflow runner's image and `python` what it holds: workflows compile on nothing else. `functions`
    maps each Python that function images exist for to whether the tag then ends with the suffix; the newest is last.
    """

    versions: str
    since: Number
    runner: str
    python: str
    functions: Mapping[str, bool]
    runner_suffix: bool = False
    default_image_runs: bool = False  # a project's default_image is the runner's too


ROWS = (
    Row(
        versions="1.7 and older",
        since=(0, 0, 0),
        runner=MLRUN,
        python="3.9",
        functions={"3.9": False},
        default_image_runs=True,
    ),
    Row(
        versions="1.8",
        since=(1, 8, 0),
        runner=MLRUN_KFP,
        python="3.9",
        functions={"3.9": False},
        default_image_runs=True,
    ),
    Row(
        versions="1.9.0",
        since=(1, 9, 0),
        runner=MLRUN_KFP,
        python="3.9",
        functions={"3.9": True, "3.11": False},
        default_image_runs=True,
    ),
    Row(
        versions="1.9.1 and later 1.9",
        since=(1, 9, 1),
        runner=MLRUN_KFP,
        python="3.9",
        functions={"3.9": True, "3.11": False},
    ),
    Row(
        versions="1.10",
        since=(1, 10, 0),
        runner=MLRUN_KFP,
        python="3.9",
        functions={"3.9": True, "3.11": False},
        runner_suffix=True,
    ),
    Row(
        versions="1.11 and newer",
        since=(1, 11, 0),
        runner=MLRUN_KFP,
        python="3.11",
        functions={"3.11": False},
    ),
)


def number(version: str) -> Number | None:
    """1.9.2 (also 1.9.2-rc3, 1.9.2rc3) as numbers; None for what is no version."""
    found = _VERSION.fullmatch(version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def row_of(version: str) -> Row:
    """Raises ValueError for what is no version of MLRun."""
    if (wanted := number(version)) is None:
        raise ValueError(f"{version!r} is no version of MLRun; they look like {DEFAULT}")
    return next(row for row in reversed(ROWS) if row.since <= wanted)
