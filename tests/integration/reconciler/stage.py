"""A whole service in this process (`service.app.make_service`), a real Git server, and a launcher that remembers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from flask.testing import FlaskClient
from sqlalchemy import Connection

from service.app import Service, make_service
from service.settings import Settings
from service.store import Store, projects, repositories, runs, schedules, syncs, work
from service.store.models import work as work_table
from service.store.projects import Project
from service.store.runs import Run
from service.store.syncs import Sync
from tests.peers.forge import SECRET, push_payload, signed
from tests.peers.git_http import GitServer, WorkingCopy
from tests.peers.memory_launcher import MemoryLauncher
from tests.waiting import until

PATIENCE_S = 20.0
NAMES = ("fraud", "churn", "spare")
Files = dict[str, str | bytes | None]


def project_yaml(name: str | None = None, workflows: Mapping[str, str | None] | None = None, **spec: Any) -> str:
    """`workflows` maps a name to its cron line, None where it has none; without any, `main`."""
    listed: list[dict[str, Any]] = [
        {"name": one, "path": "w.py", **({"schedule": cron} if cron else {})}
        for one, cron in (workflows if workflows is not None else {"main": None}).items()
    ]
    metadata = {"metadata": {"name": name}} if name else {}
    return yaml.safe_dump({"kind": "project", **metadata, "spec": {"workflows": listed, **spec}})


def gitops_yaml(*declared: dict[str, Any]) -> str:
    return yaml.safe_dump({"version": 1, "projects": list(declared)})


class Stage:
    """Repositories `fraud`, `churn` and `spare`, all known to the service, none polled unless the test says so."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.forge = GitServer(folder / "forge")
        self.launcher = MemoryLauncher()
        self.pods = MemoryLauncher("kubernetes")
        self.settings: dict[str, Any] = {"data_dir": str(folder / "data"), "launcher": {"concurrency": 4}}
        self.work: dict[str, WorkingCopy] = {}
        self._service: Service | None = None

    def __enter__(self) -> Self:
        self.forge.start()
        for name in NAMES:
            self.work[name] = self.forge.create(name).clone(self.folder / "work" / name)
        self.settings["repositories"] = [self.repository(name) for name in NAMES]
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.forge.stop()

    def repository(self, name: str, **also: Any) -> dict[str, Any]:
        """Its entry of the settings."""
        url = self.forge.repositories[name].url
        return {"name": name, "url": url, "webhook_secrets": [SECRET], "poll": 0, **also}

    def start(self) -> Self:
        settings = Settings.model_validate(self.settings)
        both = {launcher.name: launcher for launcher in (self.launcher, self.pods)}
        self._service = make_service(settings, launchers={name: both[name] for name in settings.launchers})
        return self

    def stop(self) -> None:
        if self._service is not None:
            self._service.stop()
            self._service = None

    def restart(self, **settings: Any) -> None:
        """The same data and jobs, perhaps other settings."""
        self.stop()
        self.settings |= settings
        self.start()

    @property
    def store(self) -> Store:
        assert self._service is not None
        return self._service.store

    @property
    def http(self) -> FlaskClient:
        assert self._service is not None
        return self._service.app.test_client()

    # What people do.

    def push(
        self, files: Files, name: str = "fraud", *, to: str = "main", hook: bool = True, message: str = "Change"
    ) -> str:
        """Commit, push, and the forge's webhook. The commit."""
        commit = self.work[name].commit(files, message)
        self.work[name].push(f"HEAD:refs/heads/{to}")
        if hook:
            self.hook(commit, name, f"refs/heads/{to}")
        return commit

    def git(self, *arguments: str, name: str = "fraud") -> str:
        return self.work[name].git(*arguments)

    def put(self, refspec: str, name: str = "fraud") -> None:
        """Push by force, or delete."""
        self.work[name].push(refspec, force=True)

    def hook(self, commit: str | None, name: str = "fraud", ref: str = "refs/heads/main") -> str:
        body, headers = signed(push_payload(f"ada/{name}", None, commit, ref))
        return self.send(body, headers, name)

    def send(self, body: bytes, headers: dict[str, str], name: str = "fraud") -> str:
        answer = self.http.post(f"/webhooks/github/{name}", data=body, headers=headers)
        assert answer.status_code == 202, answer.text
        delivery: str = answer.get_json()["delivery"]
        return delivery

    def ask(self, path: str, body: Any = None, *, status: int = 202) -> Any:
        answer = self.http.post(f"/api/v1{path}", json=body or {})
        assert answer.status_code == status, answer.text
        return answer.get_json()

    def poll(self, name: str = "fraud") -> None:
        """What the poll does when its time comes; returns when the fetch is through."""
        self.store.write(lambda conn: work.want(conn, "fetch", name, now=self.store.now()))
        self.settle()

    def get(self, path: str, **query: str) -> Any:
        answer = self.http.get(f"/api/v1{path}", query_string=query)
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    # What is true.

    def settle(self, *, but: tuple[str, ...] = ("watch", "launch")) -> None:
        """Until nothing is to be done; what waits for a time further off is not waited for."""
        until(lambda: not self.open_work(but), "the work to be done")

    def hurry(self, kind: str, *, attempts: int) -> None:
        """Work that failed is tried again at once, as if it had failed so often."""
        row = (work_table.c.kind == kind, work_table.c.owner.is_(None), work_table.c.error.is_not(None))
        values = {"attempts": attempts, "not_before": 0.0}

        def change(conn: Connection) -> int:
            work.want(conn, "fetch", "spare", now=self.store.now())  # rings the bell
            return conn.execute(work_table.update().where(*row).values(values)).rowcount

        until(lambda: self.store.write(change), f"{kind} to have failed")

    def open_work(self, but: tuple[str, ...] = ()) -> list[Any]:
        soon = self.store.now() + 30
        with self.store.read() as conn:
            return [w for w in work.waiting(conn) if w.kind not in (*but, "poll", "clock") and w.not_before < soon]

    def at_work(self, kind: str) -> int:
        """How many steps of this kind are being done, whoever the work is leased to by now."""
        assert self._service is not None
        return sum(held.claim.kind == kind for held in set(self._service.reconciler._dispatcher._held))

    def failing(self, kind: str, key: str) -> str:
        """Why this work is not done yet."""
        with self.store.read() as conn:
            row = work.get(conn, kind, key)
        return (row.error if row else None) or ""

    def project(self, name: str = "fraud") -> Project | None:
        with self.store.read() as conn:
            return projects.find(conn, name)

    def owned(self, name: str = "fraud") -> Project:
        found = self.project(name)
        assert found is not None, f"nobody owns the name {name}"
        return found

    def in_force(self, name: str = "fraud") -> str | None:
        """The commit whose configuration is in force."""
        with self.store.read() as conn:
            project = projects.find(conn, name)
            sync = syncs.find(conn, project.in_force_sync) if project and project.in_force_sync else None
        return sync.commit if sync else None

    def syncs(self, project: str = "fraud") -> list[Sync]:
        """Oldest first."""
        with self.store.read() as conn:
            return syncs.page(conn, project=project, limit=500)[0][::-1]

    def states(self, project: str = "fraud") -> list[str]:
        return [str(sync.state) for sync in self.syncs(project)]

    def run(self, run: str) -> Run:
        with self.store.read() as conn:
            return runs.get(conn, run)

    def runs(self, project: str = "fraud") -> list[Run]:
        """Oldest first."""
        with self.store.read() as conn:
            return runs.page(conn, project=project, limit=500)[0][::-1]

    def ran(self, project: str = "fraud") -> list[str]:
        """The commits of its runs, oldest first, once all have ended."""
        self.settle(but=())
        return [run.commit for run in self.runs(project)]

    def crons(self, project: str = "fraud") -> dict[str, str]:
        with self.store.read() as conn:
            return {one.name: one.cron for one in schedules.in_force(conn, project)}

    def outcome(self, delivery: str) -> tuple[str, str]:
        """Once it has one."""
        found: dict[str, Any] = {}

        def known() -> bool:
            found.update(self.get(f"/deliveries/{delivery}"))
            return found["outcome"] is not None

        until(known, f"an outcome of {delivery}")
        return found["outcome"], found["outcome_reason"]

    def error(self, name: str = "fraud") -> str | None:
        """What the repository shows."""
        with self.store.read() as conn:
            return repositories.get(conn, name).error
