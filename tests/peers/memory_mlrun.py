"""An MLRun API that keeps its runs in memory, for what no server does when it is told to: answers that are lost, and their like.

It has the methods of `service.mlrun_api.MlrunApi` that a launcher uses, with the shapes of the real server's answers, and runs
nothing: a test says what became of a run.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from service.errors import MlrunAway, MlrunError, MlrunRefused
from service.mlrun_api import Server
from service.mlrun_api.versions import server_of

Json = dict[str, Any]


@dataclass
class MemoryMlrun:
    """`fails` is raised by the next submit, after the run was made where `makes` is true; `away` by everything.

    `untold` and `unread` are raised for a run and for its log, by its uid; `unlisted` by every list, `unwell` where it is asked for its health,
    `unending` where it is to end a workflow of Kubeflow.
    """

    version: str = "1.9.2"
    runs_: dict[str, Json] = field(default_factory=dict)
    logs: dict[str, bytes] = field(default_factory=dict)
    submitted: list[tuple[str, str, Json]] = field(default_factory=list)
    aborted: list[str] = field(default_factory=list)
    terminated: list[str] = field(default_factory=list)
    fails: MlrunError | None = None
    makes: bool = True
    aborts: bool = True
    untold: dict[str, Exception] = field(default_factory=dict)
    unread: dict[str, Exception] = field(default_factory=dict)
    unlisted: Exception | None = None
    unwell: Exception | None = None
    unending: Exception | None = None
    away: bool = False

    def server(self, *, again: bool = False) -> Server:
        self._here()
        if again and self.unwell is not None:
            raise self.unwell
        return server_of(self.version)

    def within(self, _: float) -> AbstractContextManager[None]:
        return nullcontext()

    def submit(self, project: str, workflow: str, request: Json) -> Json:
        if self.away:
            raise MlrunAway("MLRun is away", sent=False)
        self.submitted.append((project, workflow, request))
        uid = self.make(project, request) if self.makes else ""
        if (failure := self.fails) is not None:
            self.fails = None
            raise failure
        return {"project": project, "name": request["spec"]["name"], "status": "running", "run_id": uid}

    def make(self, project: str, request: Json) -> str:
        uid, name = uuid.uuid4().hex, request["run_name"]
        self.runs_[uid] = {
            "metadata": {
                "uid": uid,
                "name": name,
                "project": project,
                "labels": {"job-type": "workflow-runner", "workflow": name, "kind": "job"},
            },
            "spec": {"parameters": {"url": request["source"], "workflow_name": request["spec"]["name"]}},
            "status": {"state": "pending", "start_time": str(datetime.now(UTC))},
        }
        return uid

    def run(self, project: str, uid: str) -> Json | None:
        self._here()
        if uid in self.untold:
            raise self.untold[uid]
        return self.runs_.get(uid)

    def runs(self, project: str, *, labels: Iterable[str] = (), since: datetime | None = None) -> list[Json]:
        self._here()
        if self.unlisted is not None:
            raise self.unlisted
        wanted = [label.split("=", 1) for label in labels]
        return [
            run
            for run in self.runs_.values()
            if all(run["metadata"]["labels"].get(key) == value for key, value in wanted)
            and (since is None or datetime.fromisoformat(run["status"]["start_time"]) >= since)
        ]

    def log(self, project: str, uid: str, offset: int) -> bytes:
        self._here()
        if uid in self.unread:
            raise self.unread[uid]
        return self.logs.get(uid, b"")[offset:]

    def abort(self, project: str, uid: str) -> None:
        self._here()
        if uid not in self.runs_:
            raise MlrunRefused("there is no such run", answer=404)
        self.aborted.append(uid)
        if self.aborts and self.runs_[uid]["status"]["state"] not in ("completed", "error"):
            self.becomes(uid, "aborted")

    def terminate(self, project: str, pipeline: str) -> None:
        self._here()
        self.terminated.append(pipeline)
        if self.unending is not None:
            raise self.unending

    # What a test says.

    def becomes(self, uid: str, state: str, **status: Any) -> None:
        self.runs_[uid]["status"] |= {"state": state, "last_update": str(datetime.now(UTC)), **status}

    def step(self, workflow: str, name: str, state: str, **status: Any) -> str:
        uid = uuid.uuid4().hex
        times = {"start_time": str(datetime.now(UTC)), "last_update": str(datetime.now(UTC))}
        metadata = {"uid": uid, "name": name, "labels": {"workflow": workflow}}
        self.runs_[uid] = {"metadata": metadata, "spec": {}, "status": {"state": state, **times, **status}}
        return uid

    def _here(self) -> None:
        if self.away:
            raise MlrunAway("MLRun is away", sent=False)
