"""What somebody changed in MLRun by hand is told when a sync finds it, and once more when it is put right: each once, with no value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.domain.events import Topic
from service.store import notifications
from tests.integration.mlrun_target.recorder import Recorder
from tests.integration.mlrun_target.scene import PUSHED, beside, function
from tests.integration.reconciler.stage import Stage, gitops_yaml, project_yaml
from tests.waiting import until

SECRET = "hunter2-of-production"


@pytest.fixture
def stage(tmp_path: Path, mlrun: Recorder) -> Iterator[Stage]:
    told = {
        "handlers": {"theirs": {"kind": "console"}, "operators": {"kind": "console"}},
        "notify": [{"to": "operators", "on": ["drift.detected"]}],
    }
    with beside(mlrun, tmp_path, *map(function, ("one", "two", "three")), **told) as made:
        rule = {"to": "theirs", "on": ["drift.*"]}
        made.push({**PUSHED, ".gitops.yaml": gitops_yaml({"path": ".", "notify": [rule]})})
        made.settle(but=())
        yield made


def meddle(mlrun: Recorder) -> None:
    mlrun.projects["fraud"]["spec"]["params"] |= {"rows": 99, "password": SECRET}
    mlrun.functions["fraud", "two", "latest"]["spec"]["image"] = "somebody/else"
    del mlrun.functions["fraud", "three", "latest"]


def told(stage: Stage, event: Topic) -> list[tuple[str, list[str]]]:
    """To whom, and what."""
    with stage.store.read() as conn:
        found = notifications.page(conn, event=event, limit=500)[0]
    return sorted((one.handler, one.message["details"]["paths"]) for one in found)


FOUND = ["function three", "function two spec.image", "project spec.params.password", "project spec.params.rows"]


def test_each_is_told_once(stage: Stage, mlrun: Recorder) -> None:
    assert told(stage, Topic.DRIFT_DETECTED) == []
    meddle(mlrun)
    stage.ask("/projects/fraud/sync")
    stage.settle(but=())
    assert told(stage, Topic.DRIFT_DETECTED) == [("operators", FOUND), ("theirs", FOUND)]
    assert told(stage, Topic.DRIFT_HEALED) == [("theirs", FOUND)]
    with stage.store.read() as conn:
        assert SECRET not in str(notifications.page(conn, limit=500)[0])
    stage.ask("/projects/fraud/sync")
    stage.settle(but=())
    assert (len(told(stage, Topic.DRIFT_DETECTED)), len(told(stage, Topic.DRIFT_HEALED))) == (2, 1)


def test_what_git_changed_too_is_told_and_the_rest_of_a_push_is_not(stage: Stage, mlrun: Recorder) -> None:
    mlrun.functions["fraud", "two", "latest"]["spec"]["image"] = "somebody/else"
    stage.launcher.resolved = {"functions": {name: function(name, "bmV3") for name in ("one", "two", "three")}}
    stage.push({"project.yaml": project_yaml("fraud", params={"rows": 2})})
    stage.settle(but=())
    assert told(stage, Topic.DRIFT_HEALED) == [("theirs", ["function two spec.image"])]


def test_nothing_is_healed_before_mlrun_has_all_and_what_an_attempt_wrote_is_no_drift(
    stage: Stage, mlrun: Recorder
) -> None:
    meddle(mlrun)
    mlrun.fail["PUT projects/fraud$"] = (503, 1000)
    stage.push({"project.yaml": project_yaml("fraud", params={"rows": 2})})
    until(lambda: stage.failing("sync", "fraud") != "", "the save to fail")
    stage.hurry("sync", attempts=0)
    until(lambda: mlrun.writes.count("PUT projects/fraud") >= 3, "the next attempt")
    assert told(stage, Topic.DRIFT_DETECTED) == [("operators", FOUND), ("theirs", FOUND)]
    assert told(stage, Topic.DRIFT_HEALED) == []
    mlrun.fail.clear()
    stage.hurry("sync", attempts=0)
    stage.settle(but=())
    assert stage.states()[-1] == "succeeded"
    assert told(stage, Topic.DRIFT_DETECTED) == [("operators", FOUND), ("theirs", FOUND)]
    assert told(stage, Topic.DRIFT_HEALED) == [("theirs", FOUND)]


def test_a_plan_says_what_it_would_put_right_and_tells_nobody(stage: Stage, mlrun: Recorder) -> None:
    meddle(mlrun)
    stage.push({"w.py": "newer"}, hook=False)
    plan = stage.ask("/projects/fraud/plan")["plan"]
    until(lambda: stage.get(f"/projects/fraud/plans/{plan}")["state"] == "succeeded", "the plan")
    writes = stage.get(f"/projects/fraud/plans/{plan}")["plan"]["writes"]
    assert sorted(path for write in writes for path in write["drifted"]) == FOUND
    assert told(stage, Topic.DRIFT_DETECTED) == []
