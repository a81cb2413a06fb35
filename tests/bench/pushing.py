"""The stage of the figures about pushes: a forge with webhooks, a service, and a project whose first step writes down the time.

A push is a real `git push` over HTTP. The forge's own post-receive hook tells its sender of webhooks, which signs and posts at once.
The first step writes the time, by the one clock of this machine, to a file named like the `push` in the project's
parameters; that file proves that the step ran, with the configuration of that push.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import yaml

from tests.bench.figure import NotProven
from tests.peers.forge import SECRET, deliver, push_payload, signed
from tests.peers.git_http import GitRepository, GitServer, Request, WorkingCopy
from tests.peers.service_process import ServiceProcess, wait_for

_PATIENCE_S = 120.0
_LOOK_S = 0.01
_HOOK = '#!/bin/sh\nexec cat > "{}"\n'


@dataclass
class Site:
    """`folder` is open for the runner's user to go through. `with` starts the forge and stops everything."""

    folder: Path
    services: list[ServiceProcess] = field(default_factory=list)
    hooks: list[_Hook] = field(default_factory=list)
    acknowledged: list[float] = field(default_factory=list)  # when a webhook was answered 202
    reads: list[float] = field(default_factory=list)  # when somebody asked the forge for refs or objects

    def __enter__(self) -> Self:
        self.folder.chmod(0o711)
        self.stamps = self.folder / "stamps"
        self.stamps.mkdir()
        self.stamps.chmod(0o777)
        self.forge = GitServer(self.folder / "forge").start()
        self.forge.before = self._asked
        return self

    def _asked(self, request: Request) -> None:
        if request.service == "git-upload-pack":
            self.reads.append(time.time())

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.stop()
        for service in self.services:
            service.close()
        self.forge.stop()

    def service(self, *names: str, over: Mapping[str, Any] | None = None, **launcher: Any) -> ServiceProcess:
        """A service that knows new empty repositories `names`, whose webhooks it gets; `over` are other settings of its."""
        repositories = [self.forge.create(name) for name in names]
        settings = [
            {"name": repository.name, "url": repository.url, "webhook_secrets": [SECRET], "poll": 0}
            for repository in repositories
        ]
        folder = self.folder / f"service-{names[0]}"
        service = ServiceProcess(folder, {"repositories": settings, "launcher": launcher, **(over or {})})
        self.services.append(service)
        service.start().wait_ready()
        self.hooks += [_Hook(repository, service, self.acknowledged) for repository in repositories]
        return service

    def team(self, name: str) -> Team:
        """Who works on the repository `name`, which may be one that no service knows."""
        repository = self.forge.repositories.get(name) or self.forge.create(name)
        return Team(self, name, repository.clone(self.folder / "work" / name))


class _Hook:
    """The forge's sender of webhooks: woken by post-receive through a FIFO, which opens and closes for every push."""

    def __init__(self, repository: GitRepository, service: ServiceProcess, acknowledged: list[float]) -> None:
        self._acknowledged = acknowledged
        self._repository = repository
        self._service = service
        self._fifo = repository.path / "pushed"
        os.mkfifo(self._fifo)
        hook = repository.path / "hooks" / "post-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_HOOK.format(self._fifo))
        hook.chmod(0o755)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._fifo.write_text("stop\n")
        self._thread.join()

    def _serve(self) -> None:
        while (said := self._fifo.read_text().split()) != ["stop"]:
            before, after, ref = said[:3]
            body, headers = signed(
                push_payload(f"ada/{self._repository.name}", before.strip("0") and before, after, ref)
            )
            answer = deliver(self._service.http, self._repository.name, body, headers)
            if answer is not None and answer.status_code == 202:
                self._acknowledged.append(time.time())


@dataclass
class Team:
    """A repository at work. `configure` writes the project; `push` pushes what was committed."""

    site: Site
    name: str
    work: WorkingCopy

    def configure(self, push: str) -> str:
        """Commit the project with this `push` among its parameters; the commit."""
        (self.site.stamps / push).unlink(missing_ok=True)
        return self.work.commit(self.files(push), f"Push {push}")

    def push(self) -> float:
        """When the push began."""
        began = time.time()
        self.work.push()
        return began

    def has_stamped(self, push: str) -> bool:
        return (self.site.stamps / push).exists()

    def stamped(self, push: str) -> float:
        """The time that the first step wrote. Raises NotProven."""
        deadline = time.monotonic() + _PATIENCE_S
        while not self.has_stamped(push):
            if time.monotonic() > deadline:
                raise NotProven(f"the step of push {push} to {self.name} did not run in {_PATIENCE_S:.0f} s")
            time.sleep(_LOOK_S)
        return int((self.site.stamps / push).read_text()) / 1e9

    def files(self, push: str) -> dict[str, str | bytes | None]:
        """A project of two steps, written for the local engine, which is there with and without an MLRun API."""
        project = {
            "kind": "project",
            "metadata": {"name": self.name},
            "spec": {
                "params": {"push": push},
                "functions": [
                    {"name": "first", "kind": "job", "image": "mlrun/mlrun", "url": "first.py", "handler": "run"}
                ],
                "workflows": [{"name": "main", "path": "workflow.py", "engine": "local"}],
            },
        }
        return {
            "project.yaml": yaml.safe_dump(project),
            "first.py": _FIRST.format(stamps=str(self.site.stamps)),
            "workflow.py": _WORKFLOW,
        }


def ended_run(service: ServiceProcess, repository: str, commit: str) -> tuple[Any, Any]:
    """The sync of `commit` and the one run that it led to, which has succeeded. Raises NotProven."""

    def syncs() -> list[Any]:
        found = service.get("/syncs", repository=repository, commit=commit)["items"]
        return [sync for one in found if (sync := service.get(f"/syncs/{one['id']}"))["runs"]]

    wait_for(
        lambda: any(sync["runs"][0]["ended_at"] for sync in syncs()),
        _PATIENCE_S,
        lambda: f"the run of {commit} to end\n{service.tail()}",
    )
    (sync,) = syncs()
    (run,) = sync["runs"]
    if run["state"] != "succeeded":
        raise NotProven(f"run {run['id']} {run['state']}: {run['reason']} {run['error']}")
    return sync, run


def at(text: str) -> float:
    """A time of the API, in seconds."""
    return datetime.fromisoformat(text).timestamp()


_FIRST = """\
import os
import time


def run(context, push: str):
    now = time.time_ns()
    stamp = os.path.join({stamps!r}, push)
    with open(stamp + ".new", "w") as file:
        file.write(str(now))
    os.rename(stamp + ".new", stamp)
    context.log_result("push", push)
"""
_WORKFLOW = """\
import mlrun


def pipeline():
    project = mlrun.get_current_project()
    project.run_function("first", params={"push": project.get_param("push")})
"""
