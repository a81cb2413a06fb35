"""One engine; the image built once for each state of its sources."""

from __future__ import annotations

import pytest

from tests.peers.containers import Engine
from tests.peers.containers import engine as the_engine
from tests.peers.containers.ours import ensure_ours


@pytest.fixture(scope="session")
def engine() -> Engine:
    return the_engine()


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    """The name of our image."""
    return ensure_ours(engine)
