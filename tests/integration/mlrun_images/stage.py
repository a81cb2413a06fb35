"""A whole service beside a strict MLRun whose builders go on as a test says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from service.domain.image_build import BUILDER_PREFIX
from service.store import image_builds
from service.store.image_builds import Built
from tests.integration.mlrun_schedules.stage import InMlrun
from tests.integration.reconciler.stage import Files, gitops_yaml, project_yaml
from tests.peers.mlrun_stand_in.process import MlrunStandIn, Request
from tests.waiting import until

BASE = "docker.io/mlrun/mlrun-kfp:1.9.2"
REGISTRY = "registry.example.com/mlrun"
PACKAGES = "# of the runner\niniconfig==2.0.0\ntabulate>=0.9\n"


def files(packages: str | None = PACKAGES, *, rules: list[str] | None = None, **runner: Any) -> Files:
    workflows = rules or ["main"]
    declared = {"run": [{"workflow": one} for one in workflows], "runner": {"requirements_file": "r.txt", **runner}}
    made: Files = {
        ".gitops.yaml": gitops_yaml(declared),
        "project.yaml": project_yaml("fraud", dict.fromkeys(workflows)),
        "w.py": "pass",
    }
    return made | ({"r.txt": packages} if packages is not None else {})


class Images(InMlrun):
    def __init__(self, folder: Path, mlrun: MlrunStandIn) -> None:
        super().__init__(folder)
        self.mlrun = mlrun
        self.settings |= {
            "mlrun": {"api": mlrun.url},
            "server": {"internal_url": "https://gitops.example.com"},
            "launcher": {"kind": "mlrun", "concurrency": 4},
            "policy": {"launchers": ["kubernetes", "process"]},
        }

    def asked(self) -> list[Request]:
        """The builds that MLRun was asked for, whatever it answered."""
        return [one for one in self.mlrun.requests("POST") if one.path.endswith("/build/function")]

    def submits(self) -> list[Request]:
        return [one for one in self.mlrun.requests("POST") if one.path.endswith("/submit")]

    def finish(self, count: int) -> None:
        """So many runs were submitted, and come to their end."""
        until(lambda: len(self.submits()) == count, f"{count} runs to be submitted")
        for one in self.submits():
            self.mlrun.finish("fraud", one.answer["run_id"])
        until(lambda: all(run.ended_at for run in self.runs()), "them to end")

    def builders(self) -> list[str]:
        """Functions of MLRun's that images were built under, and that are there still."""
        made = {one.document["function"]["metadata"]["name"] for one in self.asked()}
        gone = {one.path.rsplit("/", 1)[1] for one in self.mlrun.requests("DELETE") if one.status < 300}
        return sorted(name for name in made - gone if name.startswith(BUILDER_PREFIX))

    def build(self, project: str = "fraud") -> Built:
        """The only one of a project."""
        [asked] = {one.document["function"]["metadata"]["name"] for one in self.asked()}
        with self.store.read() as conn:
            found = image_builds.find(conn, project, asked.removeprefix(BUILDER_PREFIX))
        assert found is not None
        return found

    def waits(self, word: str) -> dict[str, Any]:
        """The newest run waits for its image, and says so with this word."""
        until(lambda: word in self.newest().get("reason", ""), f"a run to wait: {word}")
        run = self.newest()
        assert run["state"] == "queued"
        return run
