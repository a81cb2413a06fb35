"""The interpreter of the runner environment, with MLRun and kfp, made if need be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.launchers.process.environment import ensure_environment
from service.settings import load_settings


@pytest.fixture(scope="session")
def runner_python() -> Path:
    """`RUNNER_PYTHON` names another one, for looking at a test under a debugger or with another MLRun."""
    asked = os.environ.get("RUNNER_PYTHON")
    return Path(asked) if asked else ensure_environment(load_settings(environ={})).python
