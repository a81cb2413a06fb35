"""Can this image run the job? What is here is found without importing any of it, and compared with what is needed."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any, List, Optional

PACKAGES = ("mlrun", "kfp")
# Installed, and nobody knows which.
UNKNOWN = "unknown"


def find() -> Any:
    """The versions of Python and the packages (None: not installed), and each place that cannot be written to."""
    found: Any = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        found[name] = _version(name)
    found["unwritable"] = [text for text in map(_unwritable, ("the working directory", "HOME", "TMPDIR")) if text]
    return found


def faults(found: Any, needs: Any) -> List[str]:
    """What is not as it has to be, in words; empty when all is well."""
    said = []
    if needs.get("python") and _numbers(found["python"]) < _numbers(needs["python"]):
        said.append("Python {} found, {} needed".format(found["python"], needs["python"]))
    for name in PACKAGES:
        wanted, here = needs.get(name), found[name]
        if wanted is None or here == UNKNOWN:
            continue
        if here is None:
            said.append("{} missing{}".format(name, f", {wanted} needed" if wanted else ""))
        elif wanted and _numbers(here)[: len(_numbers(wanted))] != _numbers(wanted):
            said.append(f"{name} {here} found, {wanted} needed")
    return [*said, *found["unwritable"]]


def _version(package: str) -> Optional[str]:
    from importlib import util

    try:
        from importlib import metadata
    except ImportError:  # Python 3.7, which is too old anyway
        return UNKNOWN
    try:
        return metadata.version(package) or UNKNOWN
    except metadata.PackageNotFoundError:
        return UNKNOWN if util.find_spec(package) else None


def _numbers(version: str) -> List[int]:
    numbers = []
    for part in version.split("."):
        digits = "".join(character for character in part if character.isdigit())
        if not digits:
            break
        numbers.append(int(digits))
    return numbers


def _unwritable(place: str) -> str:
    """What is wrong with it; empty when a file can be made there."""
    path: Optional[str]
    if place in ("HOME", "TMPDIR"):
        path = os.environ.get(place) or (tempfile.gettempdir() if place == "TMPDIR" else None)
        if path is None:
            return "HOME is not set"
        place = f"{place}={path}"
    else:
        path = os.getcwd()
        place = f"{place} {path}"
    try:
        with tempfile.TemporaryFile(dir=path):
            return ""
    except OSError as exc:
        return f"{place} is not writable ({exc.strerror})"
