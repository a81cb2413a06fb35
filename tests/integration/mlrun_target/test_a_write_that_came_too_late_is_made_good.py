"""A process that is held up while it writes puts something older over something newer; what is in force is written once more then."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from service import limits
from service.domain.drift import There
from service.domain.planned import Action, PlannedWrite, WriteKind
from service.domain.saving import Documents
from service.errors import LeaseLost, MlrunAway
from service.mlrun_api import MlrunApi
from service.settings import Settings
from service.store import unfinished, work
from service.store.models import work as work_table
from service.targets.mlrun import MlrunTarget
from tests.integration.mlrun_target.recorder import Recorder
from tests.integration.mlrun_target.scene import PUSHED, beside, function
from tests.integration.reconciler.stage import Stage, project_yaml
from tests.unit.store.conftest import database_url, postgres
from tests.waiting import until

__all__ = ["database_url", "postgres"]


@pytest.fixture
def stage(tmp_path: Path, mlrun: Recorder, database_url: str | None) -> Iterator[Stage]:
    with beside(mlrun, tmp_path, function("one", "b25l"), store={"url": database_url}) as made:
        made.push(PUSHED)
        made.settle(but=())
        yield made


def taken_away(stage: Stage) -> None:
    """The lease on the project's sync ends, as that of a process that is stopped; who is next has it at once."""

    def change(conn: Connection) -> None:
        row = (work_table.c.kind == "sync", work_table.c.key == "fraud")
        conn.execute(work_table.update().where(*row).values(owner=None, lease_until=None, not_before=0.0))
        work.want(conn, "sync", "fraud", now=stage.store.now())

    stage.store.write(change)


def held_up(stage: Stage, mlrun: Recorder) -> tuple[threading.Event, str]:
    """An older document is on its way until the event is set, and a newer commit, this one, is found."""
    late = mlrun.hold["POST projects/fraud/functions/one"] = threading.Event()
    stage.launcher.resolved = {"functions": {"one": function("one", "b2xkZXI=")}}
    stage.push({"project.yaml": project_yaml("fraud", params={"rows": 2})})
    until(lambda: mlrun.held, "the older document to be on its way")
    stage.launcher.resolved = {"functions": {"one": function("one", "bmV3ZXI=")}}
    newer = stage.push({"project.yaml": project_yaml("fraud", params={"rows": 3})})
    until(lambda: len(stage.syncs()) == 3, "the newer commit to be found")
    return late, newer


def test_an_older_document_that_arrived_last_does_not_stay(stage: Stage, mlrun: Recorder) -> None:
    late, newer = held_up(stage, mlrun)
    taken_away(stage)
    until(lambda: stage.in_force() == newer, "it to be saved")
    late.set()
    until(lambda: mlrun.writes.count("POST projects/fraud/functions/one") == 4, "it to be written once more")
    stage.settle(but=())
    assert _code(mlrun) == "bmV3ZXI="
    assert mlrun.projects["fraud"]["spec"]["params"] == {"rows": 3}
    with stage.store.read() as conn:
        assert unfinished.find(conn, "fraud") is None


def test_one_that_arrives_before_the_newer_save_is_recorded_does_not_stay_either(stage: Stage, mlrun: Recorder) -> None:
    """The newer save ends, and knows nothing of what came in between."""
    late, newer = held_up(stage, mlrun)
    last = mlrun.hold["PUT projects/fraud$"] = threading.Event()
    taken_away(stage)
    until(lambda: len(mlrun.held) == 2, "the newer function to be saved")
    assert _code(mlrun) == "bmV3ZXI="
    late.set()
    until(lambda: _code(mlrun) == "b2xkZXI=", "the older one to be over it")
    until(lambda: _noted(stage) != "", "it to be noted")
    last.set()
    until(lambda: stage.in_force() == newer, "the newer save to end")
    stage.settle(but=())
    assert _code(mlrun) == "bmV3ZXI="


def _code(mlrun: Recorder) -> str:
    return str(mlrun.functions["fraud", "one", "latest"]["spec"]["build"]["functionSourceCode"])


def _noted(stage: Stage) -> str:
    """By whoever lost the project."""
    with stage.store.read() as conn:
        begun, row = unfinished.find(conn, "fraud"), work.get(conn, "sync", "fraud")
    return begun.by if begun is not None and row is not None and begun.by != f"{row.owner}/{row.fence}" else ""


@pytest.mark.parametrize("action", [Action.CREATE, Action.REMOVE])
@pytest.mark.parametrize("kind", list(WriteKind))
def test_who_wakes_after_he_looked_at_his_lease_sends_nothing(
    mlrun: Recorder, monkeypatch: pytest.MonkeyPatch, kind: WriteKind, action: Action
) -> None:
    monkeypatch.setattr(limits, "OUTSIDE_WRITE_TIMEOUT_S", 0.2)
    api = MlrunApi(Settings.model_validate({"mlrun": {"api": mlrun.url}}))
    wanted: dict[str, Any] = {"functions": {"one": {}}, "schedules": {"one": {"spec": {"schedule": "0 2 * * *"}}}}
    documents = Documents(project={"metadata": {"name": "fraud"}, "spec": {}}, **wanted)
    looks: list[float] = []

    def check() -> None:
        if looks:
            raise LeaseLost("it is somebody else's")
        looks.append(1.0)
        threading.Event().wait(0.3)  # it is stopped, and wakes

    write = PlannedWrite(kind=kind, name="one", action=action, reason="new")
    with pytest.raises((MlrunAway, LeaseLost)):
        MlrunTarget(api).apply("fraud", documents, [write], There(), check)
    api.close()
    assert mlrun.writes == []
