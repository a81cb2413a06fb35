"""A save that fails between its writes is known as such until MLRun has all of one revision again, and no run by MLRun's runner begins."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Connection

from service.cli import lists
from service.domain.states import RunState
from service.errors import LaunchHeld
from service.reconciler.in_mlrun import source_for_mlrun
from service.reconciler.launch import _take_slot
from service.reconciler.rooms import Rooms
from service.settings import Settings
from service.store import new_id, runs, saved, unfinished
from service.store.runs import Run
from tests.integration.mlrun_target.recorder import Recorder
from tests.integration.mlrun_target.scene import PUSHED, beside, function
from tests.integration.reconciler.stage import Stage, gitops_yaml, project_yaml
from tests.waiting import until

NEWER: dict[str, str | bytes | None] = {"project.yaml": project_yaml("fraud", params={"rows": 2})}


def more(name: str) -> dict[str, Any]:
    """A function that says what it did not say before: a difference that MLRun itself could have made."""
    said = function(name)
    said["spec"] |= {"node_selector": {"pool": "gpu"}}
    return said


@pytest.fixture
def stage(tmp_path: Path, mlrun: Recorder) -> Iterator[Stage]:
    with beside(mlrun, tmp_path, function("one"), function("two")) as made:
        made.push({**PUSHED, ".gitops.yaml": gitops_yaml({"path": ".", "prune": True})})
        made.settle(but=())
        yield made


def as_it_is(mlrun: Recorder) -> tuple[Any, Any]:
    return copy.deepcopy(mlrun.projects), copy.deepcopy(mlrun.functions)


def cut_off(stage: Stage, mlrun: Recorder) -> str:
    """A push whose functions are written, `new` among them, and whose project MLRun cannot take now."""
    stage.launcher.resolved = {"functions": {"one": more("one"), "two": function("two"), "new": function("new")}}
    mlrun.fail["PUT projects/fraud$"] = (503, 1000)
    commit = stage.push(NEWER)
    until(lambda: stage.failing("sync", "fraud") != "", "the save to fail")
    assert mlrun.functions["fraud", "one", "latest"]["spec"]["node_selector"] == {"pool": "gpu"}
    return commit


def test_what_mlrun_refuses_half_way_is_put_back_as_it_is_in_force(stage: Stage, mlrun: Recorder) -> None:
    first, before = stage.in_force(), as_it_is(mlrun)
    stage.launcher.resolved = {"functions": {"one": more("one"), "two": function("two"), "new": function("new")}}
    mlrun.fail["PUT projects/fraud$"] = (422, 1)
    stage.push(NEWER)
    stage.settle(but=())
    assert stage.states() == ["succeeded", "failed"]
    assert stage.in_force() == first
    assert as_it_is(mlrun) == before
    drift = stage.get("/projects/fraud/drift")
    assert (drift["unfinished"], drift["differences"]) == (None, [])


def test_drift_shows_it_and_no_run_of_mlruns_begins_before_it_ended(
    stage: Stage, mlrun: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"mlrun_address": mlrun.url, "settings": Settings.model_validate(stage.settings), "repository": str}
    [run] = stage.runs()

    def source() -> str:
        return stage.store.write(lambda conn: source_for_mlrun(cast(Rooms, SimpleNamespace(**known)), conn, run))

    assert source()
    newer = cut_off(stage, mlrun)
    drift = stage.get("/projects/fraud/drift")
    assert drift["unfinished"] == newer
    lists.drift(drift)
    assert f"a save of {newer[:12]} goes on or did not end" in capsys.readouterr().out
    with pytest.raises(LaunchHeld, match="did not end") as held:
        source()
    assert held.value.retry
    assert _begun(stage, mlrun, run) is RunState.QUEUED
    mlrun.fail.clear()
    stage.hurry("sync", attempts=0)
    until(lambda: stage.in_force() == newer, "the save to be done again")
    assert stage.get("/projects/fraud/drift")["unfinished"] is None


def _begun(stage: Stage, mlrun: Recorder, run: Run) -> RunState:
    """What becomes of a run that MLRun's launcher is to begin now."""
    waits = replace(
        run,
        id=new_id(),
        launcher="mlrun",
        state=RunState.QUEUED,
        started_at=None,
        ended_at=None,
        request=None,
        sync=None,
    )
    settings = Settings.model_validate(stage.settings)
    known = {"launchers": {"mlrun": None}, "settings": settings, "store": stage.store, "mlrun_address": mlrun.url}

    def change(conn: Connection) -> Run | None:
        runs.add(conn, waits)
        return _take_slot(cast(Rooms, SimpleNamespace(**known)), conn, waits.id)

    found = stage.store.write(change)
    assert found is not None
    return found.state


def test_a_commit_that_takes_it_back_comes_to_what_was_there(stage: Stage, mlrun: Recorder) -> None:
    before = as_it_is(mlrun)
    cut_off(stage, mlrun)
    stage.launcher.resolved = {"functions": {name: function(name) for name in ("one", "two")}}
    stage.push({"project.yaml": PUSHED["project.yaml"], "w.py": "newer"})
    until(lambda: len(stage.syncs()) == 3, "the commit to be found")
    mlrun.fail.clear()
    stage.settle()
    assert stage.states() == ["succeeded", "superseded", "succeeded"]
    projects, functions = as_it_is(mlrun)
    assert functions.keys() == before[1].keys()
    assert "node_selector" not in functions["fraud", "one", "latest"]["spec"]
    assert projects["fraud"]["spec"]["params"] == {"rows": 1}


def test_a_commit_that_concerns_nothing_has_what_is_in_force_put_back(stage: Stage, mlrun: Recorder) -> None:
    """The newer one is taken back by force, so that nothing changed since the last sync that succeeded."""
    first, before = stage.in_force(), as_it_is(mlrun)
    assert first is not None
    cut_off(stage, mlrun)
    stage.git("reset", "-q", "--hard", first)
    stage.git("commit", "-q", "--allow-empty", "-m", "Nothing")
    stage.put("HEAD:refs/heads/main")
    stage.hook(stage.git("rev-parse", "HEAD").strip())
    until(lambda: len(stage.syncs()) == 3, "the commit to be found")
    mlrun.fail.clear()
    stage.settle()
    assert stage.states() == ["succeeded", "superseded", "skipped"]
    assert as_it_is(mlrun) == before


def test_what_is_put_back_is_tried_again_until_mlrun_takes_it(stage: Stage, mlrun: Recorder) -> None:
    before = as_it_is(mlrun)
    stage.launcher.resolved = {"functions": {"one": more("one"), "two": function("two")}}
    mlrun.fail["PUT projects/fraud$"] = (422, 1000)
    stage.push(NEWER)
    until(lambda: stage.failing("sync", "fraud") != "", "it to be put back in vain")
    assert stage.states() == ["succeeded", "failed"]
    mlrun.fail.clear()
    stage.hurry("sync", attempts=0)
    stage.settle()
    assert as_it_is(mlrun) == before


def test_a_name_that_is_given_up_after_it_leaves_no_note(stage: Stage, mlrun: Recorder) -> None:
    cut_off(stage, mlrun)
    stage.push({"project.yaml": project_yaml("other")})
    until(lambda: stage.project("other") is not None, "another name")
    with stage.store.read() as conn:
        assert unfinished.find(conn, "fraud") is None
    mlrun.fail.clear()

    def forgotten() -> bool:
        with stage.store.read() as conn:
            return saved.find(conn, "fraud") is None

    until(forgotten, "what was saved to be forgotten")
    assert ("fraud", "new", "latest") in mlrun.functions
