"""A team whose projects live in MLRun: its repositories are private, and the service speaks to MLRun past somebody who counts."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.e2e.stage import LONG_S, Team
from tests.peers.forge import SECRET
from tests.peers.mlrun_api.place import GIT_TOKEN, GIT_USER, MlrunPlace
from tests.peers.mlrun_api.proxy import Proxy
from tests.peers.recorder import Recorder
from tests.peers.service_process import ServiceProcess, wait_for

# A push saves and runs nothing.
QUIET: dict[str, str | bytes | None] = {".gitops.yaml": "version: 1\nprojects: [{run: []}]\n"}
NAMES = tuple(f"team-{number}" for number in range(10))

DOUBLE = """\
import time


def run(context, factor: int, seconds: int = 0):
    print("doubling", factor, flush=True)
    time.sleep(seconds)
    context.log_result("product", 21 * factor)
"""
WORKFLOW = """\
import mlrun


def pipeline(seconds: int = 0):
    project = mlrun.get_current_project()
    project.run_function("double", params={"factor": project.get_param("factor"), "seconds": seconds})
"""


@contextmanager
def a_scene(place: MlrunPlace, **settings: Any) -> Iterator[MlrunScene]:
    """In a folder that the runner's user gets to, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="gitops-mlrun-"))
    folder.chmod(0o755)
    try:
        with MlrunScene(folder, place, **settings) as scene:
            yield scene
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class MlrunScene:
    """`settings` go over the service's. Its runs are MLRun's own; its loads are processes."""

    def __init__(self, folder: Path, place: MlrunPlace, **settings: Any) -> None:
        self.folder, self.place = folder, place
        self._settings = settings
        self._names = iter(NAMES)
        self.recorder = Recorder()
        self.proxy = Proxy(place.api.url)

    def __enter__(self) -> Self:
        self.recorder.__enter__()
        self.proxy.__enter__()
        prefix = self.folder.name
        self.repositories = {name: self.place.forge.create(f"{prefix}/{name}", private=True) for name in NAMES}
        self.service = ServiceProcess(self.folder / "service", self._config(), self.place.trust)
        self.service.start().wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.service.close()
        self.proxy.__exit__()
        self.recorder.__exit__()

    def team(self) -> MlrunTeam:
        name = next(self._names)
        return MlrunTeam(self, name, self.repositories[name])

    def _config(self) -> dict[str, Any]:
        token = self.folder / "git-token"
        token.touch(mode=0o600)
        token.write_text(GIT_TOKEN)
        who = {"username": GIT_USER, "token_file": str(token)}
        config: dict[str, Any] = {
            "repositories": [
                {"name": name, "url": one.url, "webhook_secrets": [SECRET], "poll": 0, "credentials": who}
                for name, one in self.repositories.items()
            ],
            "handlers": {"listener": self.recorder.settings()},
            "notify": [{"to": "listener"}],
            "launcher": {"kind": "mlrun", "loads": "process"},
            **self._settings,
        }
        config["mlrun"] = {"api": self.proxy.url, **self._settings.get("mlrun", {})}
        return config


class MlrunTeam(Team):
    """Its project has the team's name in MLRun too."""

    def __init__(self, scene: MlrunScene, name: str, repository: Any) -> None:
        super().__init__(scene, name, repository)
        self.scene = scene
        self.mlrun = scene.place.client

    def files_of(
        self, *, factor: int = 2, cron: str | None = None, functions: tuple[str, ...] = ("double",), **args: Any
    ) -> dict[str, str | bytes | None]:
        """A project whose workflow `main` runs in the runner itself; with `cron`, by MLRun's clock or ours."""
        workflow = {"name": "main", "path": "workflow.py", "handler": "pipeline", "engine": "local"}
        workflows = [{**workflow, **({"args": args} if args else {})}]
        if cron:
            workflows.append({**workflow, "name": "nightly", "engine": "local", "schedule": cron})
        job = {"kind": "job", "image": "mlrun/mlrun", "url": "double.py", "handler": "run"}
        return {
            "project.yaml": self.project_yaml(
                params={"factor": factor}, functions=[{"name": name, **job} for name in functions], workflows=workflows
            ),
            "double.py": DOUBLE,
            "workflow.py": WORKFLOW,
        }

    def succeeded(self, commit: str) -> Any:
        """Its sync, which has to have succeeded."""
        sync = self.synced(commit)
        assert sync["state"] == "succeeded", f"{json.dumps(sync['error'])}\n{self.stage.service.tail()}"
        return sync

    def log(self, run: Any) -> str:
        return str(self.stage.service.get(f"/runs/{run['id']}/log")["text"])

    def logged(self, run: Any, words: str) -> None:
        """Waits for them."""
        wait_for(lambda: words in self.log(run), LONG_S, lambda: f"{words!r} in {self.log(run)!r}")

    def running(self) -> Any:
        """Its one run, once it runs."""
        found: list[Any] = []

        def look() -> bool:
            found[:] = self.stage.service.all("/runs", repository=self.name)
            return [run["state"] for run in found] == ["running"]

        wait_for(look, LONG_S, lambda: f"a run to be running: {found}\n{self.stage.service.tail()}")
        return found[0]

    def runners(self) -> list[Any]:
        """MLRun's own runs of its workflows."""
        label = "job-type=workflow-runner"
        return list(self.mlrun.get(f"/projects/{self.name}/runs", label=label)["runs"])
