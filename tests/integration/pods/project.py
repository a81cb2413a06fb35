"""The files of a pod that runs MLRun itself, where `conftest.py` has some that are only files."""

from __future__ import annotations

import pytest

from tests.integration.runner.projects import project


@pytest.fixture
def files() -> dict[str, bytes]:
    return {name: text.encode() for name, text in project().items()}
