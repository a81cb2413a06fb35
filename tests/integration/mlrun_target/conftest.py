"""The workflow runner loads projects here as it does for its own tests."""

from tests.integration.runner.conftest import program, runner, runner_python, warm_socket

__all__ = ["program", "runner", "runner_python", "warm_socket"]
