"""The workflow runner loads projects here as it does for its own tests."""

from collections.abc import Iterator

import pytest

from tests.integration.mlrun_target.recorder import Recorder
from tests.integration.runner.conftest import program, runner, runner_python, warm_socket

__all__ = ["program", "runner", "runner_python", "warm_socket"]


@pytest.fixture
def mlrun() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder
