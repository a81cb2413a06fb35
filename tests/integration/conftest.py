"""What tests of several rooms stand on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def ground() -> Iterator[Path]:
    """A short directory that any user gets to; pytest's own is its owner's alone."""
    path = Path(tempfile.mkdtemp(prefix="ground-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)
