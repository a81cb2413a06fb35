"""One real service for all end-to-end tests: its own process, a real Git server, real runners, a listener.

A repository a test: what one does wrong must not touch the others, and that is part of what is tested.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stage import Stage


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="gitops-e2e-"))
    folder.chmod(0o755)
    stage = Stage(folder)
    try:
        with stage:
            yield stage
    finally:
        shutil.rmtree(folder, ignore_errors=True)
