"""A folder that the runner's own user can reach, as pytest's (0700) is not."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_path(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Kept for a look when the test failed."""
    folder = Path(tempfile.mkdtemp(prefix="gitops-faults-"))
    folder.chmod(0o755)
    yield folder
    if not getattr(request.node, "failed", False):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]  # pluggy's wrapper protocol is untyped
    if report.when == "call":
        item.failed = report.failed  # type: ignore[attr-defined]  # a note from the call to the fixture
