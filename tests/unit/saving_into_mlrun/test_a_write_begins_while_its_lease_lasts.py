"""What is asked just before a write holds until the write has ended: nothing slow comes in between, and no write takes longer."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import pytest

from service import limits
from service.domain.drift import There
from service.domain.planned import Action, PlannedWrite, WriteKind
from service.domain.saving import Documents
from service.errors import MlrunAway
from service.mlrun_api import MlrunApi, Server
from service.mlrun_api.versions import server_of
from service.targets.mlrun.target import MlrunTarget


class _Watched:
    """An API that remembers what it is asked, and keeps nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float | None]] = []

    def server(self) -> Server:
        self.asked.append(("server", None))
        return server_of("1.9.2")

    def within(self, _: float) -> AbstractContextManager[None]:
        return nullcontext()

    def submit(self, *_: Any, within_s: float = limits.SUBMIT_TIMEOUT_S) -> dict[str, Any]:
        self.asked.append(("submit", within_s))
        return {"status": "scheduled"}

    def project(self, _: str) -> None:
        return None

    def schedules(self, _: str) -> dict[str, Any]:
        return {}


def test_a_schedule_is_submitted_within_the_lease() -> None:
    api = _Watched()
    wanted = Documents(project={"metadata": {"name": "fraud"}, "spec": {}}, schedules={"main": {"spec": {}}})
    write = PlannedWrite(kind=WriteKind.SCHEDULE, name="main", action=Action.CREATE, reason="it is new")
    with pytest.raises(MlrunAway, match="is not there"):  # it keeps nothing
        MlrunTarget(cast(MlrunApi, api)).apply(
            "fraud", wanted, [write], There(), lambda: api.asked.append(("check", None))
        )
    assert api.asked[:3] == [("server", None), ("check", None), ("submit", limits.OUTSIDE_WRITE_TIMEOUT_S)]
    assert limits.OUTSIDE_WRITE_TIMEOUT_S < limits.REPLICA_LEASE_S
