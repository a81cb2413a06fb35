"""What the server holds in memory, and what its parts say to each other."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any


class Refused(Exception):
    """An answer that is no good one; `detail` is what FastAPI's error body holds."""

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(str(detail))
        self.status = status
        self.detail = detail


@dataclass
class Call:
    """A request that keeps to its rule. `body` is a model of mlrun.common.schemas, plain JSON, or bytes."""

    path: dict[str, str]
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any = None

    @property
    def project(self) -> str:
        return self.path["project"]

    def one(self, key: str, otherwise: str = "") -> str:
        return self.query.get(key, [otherwise])[-1]

    def flag(self, key: str, otherwise: str) -> bool:
        return self.one(key, otherwise).lower() in ("true", "yes", "1", "on")


@dataclass
class Raw:
    """An answer that is no JSON, or has headers."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class State:
    """`version` is the SDK's, which is the server's. Names are keys, a project's first. `builder` is how builders of images stand."""

    version: str
    projects: dict[str, Any] = field(default_factory=dict)
    functions: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    schedules: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    runs: dict[tuple[str, str, int], dict[str, Any]] = field(default_factory=dict)
    logs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    tasks: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    pages: dict[str, Any] = field(default_factory=dict)
    failing_task: str = ""
    builder: dict[str, str] = field(default_factory=lambda: {"state": "ready", "log": "built\n"})

    def has_project(self, name: str) -> None:
        if name not in self.projects:
            raise not_found(f"Project {name} does not exist")

    def task(self, project: str, kind: str, error: str = "") -> dict[str, Any]:
        """A background task that is at work until somebody looks; with an `error` it fails then."""
        name = str(uuid.uuid4())
        error, self.failing_task = error or self.failing_task, ""
        task = {
            "kind": "BackgroundTask",
            "metadata": {
                "name": name,
                "kind": kind,
                "project": project,
                "created": now(),
                "updated": now(),
                "timeout": 600,
            },
            "spec": {},
            "status": {"state": "running", "error": None},
        }
        self.tasks[project, name] = {"task": task, "error": error}
        return task


def not_found(what: str) -> Refused:
    return Refused(404, f"MLRunNotFoundError('{what}')")


def now() -> str:
    return datetime.now(timezone.utc).isoformat()


def page(state: State, call: Call, entries: list[Any], key: str) -> dict[str, Any]:
    """One page of a list, where pages are asked for; a token knows what it was given for, and is gone once used."""
    if token := call.one("page-token"):
        if token not in state.pages:
            raise not_found(f"Pagination token {token} not found")
        entries, number, size = state.pages.pop(token)
    elif "page" in call.query or "page-size" in call.query:
        number, size = int(call.one("page", "1")), int(call.one("page-size", "200"))
        if number < 1 or size < 1:
            raise Refused(422, [{"loc": ["query", "page"], "msg": "ensure this value is greater than 0"}])
    else:
        return {key: entries, "pagination": {"page": None, "page-size": None, "page-token": None}}
    following = None
    if number * size < len(entries):
        following = uuid.uuid4().hex
        state.pages[following] = (entries, number + 1, size)
    shown = entries[(number - 1) * size : number * size]
    return {key: shown, "pagination": {"page": number, "page-size": size, "page-token": following}}


def copied(document: Any) -> Any:
    """As it would come out of a database."""
    return json.loads(json.dumps(document, default=str))
