"""Which Python a project is written for: what `.gitops.yaml` says, else its `.python-version`."""

from __future__ import annotations

import re
from dataclasses import dataclass

FILE = ".python-version"

# As pyenv and uv write them: 3.11, 3.11.7, 3.11.7/envs/fraud, 3.11-dev, cpython-3.11.7, python@3.11.
_VERSION = re.compile(r"(?:c?python[-@]?)?(3\.[0-9]{1,2})(?![0-9])")


@dataclass(frozen=True, slots=True)
class Said:
    """`version` is as in "3.11"; `by` is the file that says it."""

    version: str
    by: str


def parse(text: bytes) -> str | None:
    """The Python of a `.python-version`: "3.11". None where its first line that says something names no CPython 3."""
    lines = (line.partition("#")[0].strip() for line in text.decode("utf-8", "replace").splitlines())
    first = next((line for line in lines if line), "")
    found = _VERSION.match(first)
    return found[1] if found else None
