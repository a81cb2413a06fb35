"""The stand-ins as fixtures: each is started once for all tests of a worker, and as new for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers.mlrun_stand_in.process import VERSIONS, MlrunStandIn


@pytest.fixture(scope="session")
def stand_in_1_9() -> Iterator[MlrunStandIn]:
    with MlrunStandIn("1.9.2") as stand_in:
        yield stand_in


@pytest.fixture(scope="session")
def stand_in_1_12() -> Iterator[MlrunStandIn]:
    with MlrunStandIn("1.12.1") as stand_in:
        yield stand_in


@pytest.fixture
def mlrun_1_9(stand_in_1_9: MlrunStandIn) -> MlrunStandIn:
    stand_in_1_9.reset()
    return stand_in_1_9


@pytest.fixture
def mlrun_1_12(stand_in_1_12: MlrunStandIn) -> MlrunStandIn:
    stand_in_1_12.reset()
    return stand_in_1_12


@pytest.fixture(params=VERSIONS)
def mlrun_stand_in(request: pytest.FixtureRequest) -> MlrunStandIn:
    """Each in turn."""
    name = f"mlrun_{'_'.join(request.param.split('.')[:2])}"
    stand_in: MlrunStandIn = request.getfixturevalue(name)
    return stand_in
