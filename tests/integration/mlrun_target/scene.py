"""The service beside an MLRun API that keeps what it is sent: real source and store, jobs from memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.mlrun_target.recorder import Recorder
from tests.integration.reconciler.stage import Files, Stage, project_yaml

PUSHED: Files = {"project.yaml": project_yaml("fraud", params={"rows": 1}), "w.py": "pass"}


def function(name: str, code: str = "cHJpbnQ=") -> dict[str, Any]:
    return {
        "kind": "job",
        "metadata": {"name": name, "project": "fraud"},
        "spec": {"image": "mlrun/mlrun", "build": {"functionSourceCode": code}},
    }


def beside(mlrun: Recorder, folder: Path, *functions: dict[str, Any], **settings: Any) -> Stage:
    """A stage whose projects have these functions, and that is still to be entered."""
    made = Stage(folder)
    made.settings |= {"mlrun": {"api": mlrun.url}, "server": {"internal_url": "http://gitops.example.com"}, **settings}
    if functions:
        made.launcher.resolved = {"functions": {one["metadata"]["name"]: one for one in functions}}
    return made
