"""The stage of the end-to-end tests: what a team has (repository, forge) and sees (API, messages)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, Self

import yaml

from tests.peers.forge import SECRET, deliver, push_payload, signed
from tests.peers.git_http import GitRepository, GitServer, WorkingCopy
from tests.peers.recorder import Recorder
from tests.peers.service_api import ServiceApi
from tests.peers.service_process import ServiceProcess, wait_for

LONG_S = 120.0
OPEN_SYNC = {"queued", "syncing"}
OPEN_RUN = {"queued", "starting", "running"}
# Names of repositories that tests may have; the service knows all of them from its start.
NAMES = tuple(f"team-{number}" for number in range(60))


class Scene(Protocol):
    """What a team is on: somewhere to work, a service that knows its repository, somebody who hears."""

    @property
    def folder(self) -> Path: ...
    @property
    def service(self) -> ServiceApi: ...
    @property
    def recorder(self) -> Recorder: ...


class Stage:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self._settings = settings
        self.forge = GitServer(folder / "forge")
        self.recorder = Recorder()
        self._names = iter(NAMES)

    def __enter__(self) -> Self:
        self.forge.start()
        self.recorder.__enter__()
        self.repositories = {name: self.forge.create(name) for name in NAMES}
        self.service = ServiceProcess(
            self.folder / "service",
            {
                "repositories": [
                    {"name": name, "url": repository.url, "webhook_secrets": [SECRET], "poll": 0}
                    for name, repository in self.repositories.items()
                ],
                "launcher": {"load_timeout": "20s", "concurrency": 2},
                "handlers": {"listener": self.recorder.settings()},
                "notify": [{"to": "listener"}],
                **self._settings,
            },
        )
        self.service.start().wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.service.close()
        self.recorder.__exit__()
        self.forge.stop()

    def team(self) -> Team:
        """A new team with an empty repository."""
        name = next(self._names)
        return Team(self, name, self.repositories[name])


class Team:
    def __init__(self, stage: Scene, name: str, repository: GitRepository) -> None:
        self.stage = stage
        self.name = name
        self.repository = repository
        self._work: WorkingCopy | None = None
        self.tips: dict[str, str] = {}

    @property
    def work(self) -> WorkingCopy:
        if self._work is None:
            self._work = self.repository.clone(self.stage.folder / "work" / self.name)
        return self._work

    def push(self, files: dict[str, str | bytes | None], message: str = "Change") -> str:
        """Commit, push, and the forge's webhook; the commit."""
        commit = self.work.commit(files, message)
        self.work.push()
        self.hook(commit)
        return commit

    def hook(self, commit: str | None, ref: str = "refs/heads/main") -> str:
        """The webhook alone; the delivery's id."""
        body, headers = signed(push_payload(f"ada/{self.name}", self.tips.get(ref), commit, ref))
        answer = deliver(self.stage.service.http, self.name, body, headers)
        assert answer is not None
        assert answer.status_code == 202, answer.text
        if commit is not None:
            self.tips[ref] = commit
        delivery: str = answer.json()["delivery"]
        return delivery

    def synced(self, commit: str) -> Any:
        """The sync of `commit`, once it ended."""
        found: dict[str, Any] = {}

        def ended() -> bool:
            page = self.stage.service.get("/syncs", repository=self.name, commit=commit)["items"]
            found.update(page[0] if page else {})
            return bool(page) and page[0]["state"] not in OPEN_SYNC

        wait_for(ended, LONG_S, lambda: f"a sync of {commit}: {found}\n{self.stage.service.tail()}")
        return self.stage.service.get(f"/syncs/{found['id']}")

    def runs(self, **query: str) -> list[Any]:
        """Its runs, newest first, once all have ended."""
        found: list[Any] = []

        def ended() -> bool:
            found[:] = self.stage.service.all("/runs", repository=self.name, **query)
            return not any(run["state"] in OPEN_RUN for run in found)

        wait_for(ended, LONG_S, lambda: f"runs to end: {found}\n{self.stage.service.tail()}")
        return found

    def schedules(self) -> dict[str, str]:
        """Name → cron line of those in force."""
        return {one["name"]: one["cron"] for one in self.stage.service.all("/schedules") if one["project"] == self.name}

    def outcome(self, delivery: str) -> Any:
        """The delivery, once it has an outcome."""
        found: dict[str, Any] = {}

        def known() -> bool:
            found.update(self.stage.service.get(f"/deliveries/{delivery}"))
            return found["outcome"] is not None

        wait_for(known, LONG_S, lambda: f"an outcome: {found}\n{self.stage.service.tail()}")
        return found

    def project(self) -> Any:
        return self.stage.service.get(f"/projects/{self.name}")

    def in_force(self) -> Any:
        """The saved configuration."""
        revision = self.project()["in_force"]["revision"]
        return self.stage.service.get(f"/projects/{self.name}/revisions/{revision}")["resolved"]

    def told(self, event: str) -> list[Any]:
        """Messages of this event about this project or repository that have arrived."""
        return [
            message
            for message in list(self.stage.recorder.received.values())
            if message["event"] == event and self.name in (message["project"], message["repository"])
        ]

    def project_yaml(self, **spec: Any) -> str:
        """A project.yaml of this team."""
        return yaml.safe_dump({"kind": "project", "metadata": {"name": self.name}, "spec": spec})

    def files(self, factor: int = 2, cron: str | None = None) -> dict[str, str | bytes | None]:
        """A project that runs: one function, the workflow `main`, and `nightly` where there is a cron line."""
        workflows: list[dict[str, Any]] = [{"name": "main", "path": "workflow.py", "engine": "kfp"}]
        if cron:
            workflows.append({"name": "nightly", "path": "workflow.py", "engine": "kfp", "schedule": cron})
        return {
            "project.yaml": self.project_yaml(
                params={"factor": factor},
                functions=[
                    {"name": "double", "kind": "job", "image": "mlrun/mlrun", "url": "double.py", "handler": "run"}
                ],
                workflows=workflows,
            ),
            "double.py": "def run(context, factor: int):\n    context.log_result('product', 21 * factor)\n",
            "workflow.py": WORKFLOW,
        }


WORKFLOW = """\
import mlrun
from kfp import dsl


@dsl.pipeline(name="double")
def pipeline():
    project = mlrun.get_current_project()
    project.run_function("double", params={"factor": project.get_param("factor")}, outputs=["product"])
"""
