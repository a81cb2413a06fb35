"""A save that is cut off between any two of its writes, or just before it is recorded: the next attempt comes to the same end."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import StoreUnavailable
from service.reconciler import sync as syncing
from service.targets.mlrun import target as saving
from tests.integration.mlrun_target.recorder import Recorder
from tests.integration.mlrun_target.scene import PUSHED, beside, function
from tests.integration.reconciler.stage import gitops_yaml, project_yaml

POINTS = (
    "mlrun.function.create",
    "mlrun.function.change",
    "mlrun.project.change",
    "mlrun.schedule.remove",
    "mlrun.function.remove",
    "mlrun.written",
    "sync.saved",
)


@pytest.mark.parametrize("where", POINTS)
def test_it_comes_to_the_same_end(where: str, tmp_path: Path, mlrun: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a crash, nothing that was done until there is remembered by anybody but MLRun."""
    stage, passed = beside(mlrun, tmp_path, function("one"), function("two")), list[str]()

    def point(name: str) -> None:
        passed.append(name)
        if name == where and passed.count(name) == 1 and len(stage.syncs()) > 1:
            raise StoreUnavailable(f"cut off at {name}")

    with stage:
        stage.push({**PUSHED, ".gitops.yaml": gitops_yaml({"path": ".", "prune": True})})
        stage.settle()
        first = stage.in_force()
        labels = {"job-type": "workflow-runner"}
        mlrun.schedules["fraud", "main"] = {"name": "main", "cron_trigger": {"minute": "0"}, "labels": labels}
        for module in (saving, syncing):
            monkeypatch.setattr(module, "point", point)
        stage.launcher.resolved = {"functions": {"one": function("one", "bmV3"), "three": function("three")}}
        second = stage.push({"project.yaml": project_yaml("fraud", params={"rows": 2})})
        stage.settle()
        assert where in passed
        assert passed.count("sync.planned") == 2
        assert (first, stage.in_force()) == (first, second)
        assert sorted(name for _, name, _ in mlrun.functions) == ["one", "three"]
        assert mlrun.functions["fraud", "one", "latest"]["spec"]["build"]["functionSourceCode"] == "bmV3"
        assert mlrun.projects["fraud"]["spec"]["params"] == {"rows": 2}
        assert mlrun.schedules == {}
        assert stage.get("/projects/fraud/drift")["differences"] == []
        mlrun.forget_writes()
        stage.ask("/projects/fraud/sync")
        stage.settle()
        assert mlrun.forget_writes() == []
