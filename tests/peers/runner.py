"""The packed workflow runner, started as a launcher would start it: cold, or by its warm parent."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

Files = Path | Mapping[str, str]
JOB_S = 120.0
# What every job has in its environment; the rest of ours is not its business.
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", "USER": "tester"}


@dataclass(frozen=True)
class Ended:
    """A job that has ended."""

    folder: Path
    source: Path
    exit_code: int
    environment: Mapping[str, str]

    @property
    def events(self) -> list[dict[str, Any]]:
        path = self.folder / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def finished(self) -> dict[str, Any]:
        (last,) = self.of("finished")
        assert self.events[-1] == last
        return last

    @property
    def error(self) -> dict[str, Any]:
        """Of a job that has to have failed."""
        assert (self.exit_code, self.finished["state"]) == (1, "failed"), self.log
        error = self.finished["error"]
        assert isinstance(error, dict)
        return error

    @property
    def result(self) -> dict[str, Any]:
        """Of a load that has to have succeeded."""
        assert (self.exit_code, self.finished["error"]) == (0, None), self.log
        document = json.loads((self.folder / "result.json").read_text())
        assert isinstance(document, dict)
        return document

    @property
    def results(self) -> dict[str, Any]:
        """Of a run that has to have succeeded."""
        assert (self.exit_code, self.finished["error"]) == (0, None), f"{self.finished} {self.log}"
        results = self.finished["results"]
        assert isinstance(results, dict)
        return results

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


@dataclass
class Runner:
    """Runs jobs below `base`; `socket` is the warm parent's."""

    python: Path
    program: Path
    base: Path
    socket: Path
    jobs: int = 0
    defaults: dict[str, Any] = field(default_factory=dict)

    def load(
        self, files: Files, *, warm: bool = True, environment: Mapping[str, str] | None = None, **job: Any
    ) -> Ended:
        return self.job({"kind": "load", **job}, files, warm=warm, environment=environment)

    def run(
        self,
        loaded: Ended,
        workflow: str = "main",
        *,
        files: Files | None = None,
        warm: bool = True,
        environment: Mapping[str, str] | None = None,
        **job: Any,
    ) -> Ended:
        """Run a workflow of what `loaded` resolved, on the same files unless `files` says others."""
        result = loaded.result
        (row,) = [row for row in result["workflows"] if row["name"] == workflow]
        document = {
            "kind": "run",
            "resolved": {"project": result["project"], "functions": result["functions"]},
            "workflow": row["spec"],
            "engine": row["engine"],
            **job,
        }
        return self.job(document, files or loaded.source, warm=warm, environment=environment)

    def job(
        self,
        document: Mapping[str, Any],
        files: Files,
        *,
        warm: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        folder, source = self.place(files)
        self.write(folder, source, document)
        environment = {**ENVIRONMENT, **(environment or {})}
        start = self.start_warm if warm else self.start_cold
        return Ended(folder, source, start(folder, source, environment), environment)

    def place(self, files: Files) -> tuple[Path, Path]:
        """A new job's folder and its own copy of the files."""
        self.jobs += 1
        folder = self.base / f"job-{self.jobs}"
        source = folder / "source"
        folder.mkdir(parents=True)
        if isinstance(files, Path):
            shutil.copytree(files, source, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            source.mkdir()
            for name, text in files.items():
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                (source / name).write_text(textwrap.dedent(text))
        return folder, source

    def write(self, folder: Path, source: Path, document: Mapping[str, Any]) -> Path:
        project = {
            "path": ".",
            "name": None,
            "repository_name": "Some_Repository",
            "source": "git://git.example.com/ml/demo.git#refs/heads/main",
            **document.get("project", {}),
        }
        path = folder / "job.json"
        whole = {"version": 1, "id": folder.name, "source": str(source), "folder": str(folder), **document}
        path.write_text(json.dumps({**whole, "project": project}))
        return path

    def start_cold(self, folder: Path, source: Path, environment: Mapping[str, str]) -> int:
        with (folder / "log").open("ab") as log:
            return subprocess.run(
                [self.python, "-u", self.program, folder / "job.json"],
                cwd=source,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=JOB_S,
                check=False,
                start_new_session=True,
                umask=0o077,
            ).returncode

    def start_warm(self, folder: Path, source: Path, environment: Mapping[str, str]) -> int:
        first, last = self.ask(self.request(folder, source, environment))
        assert "pid" in first, first
        code = last["exit"]
        assert isinstance(code, int)
        return code

    def request(self, folder: Path, source: Path, environment: Mapping[str, str]) -> dict[str, Any]:
        job, log = str(folder / "job.json"), str(folder / "log")
        return {"job": job, "log": log, "cwd": str(source), "env": dict(environment)}

    def ask(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All lines that the warm parent answers."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(JOB_S)
            connection.connect(str(self.socket))
            connection.sendall(json.dumps(request).encode() + b"\n")
            return [json.loads(line) for line in connection.makefile()]


@dataclass
class WarmParent:
    """`with WarmParent(...)`: a warm parent that is ready, and gone afterwards."""

    python: Path
    program: Path
    socket: Path
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [self.python, "-u", self.program, "--warm", self.socket, *self.arguments],
            env={**ENVIRONMENT, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.ready = json.loads(self.process.stdout.readline())
        return self

    def __exit__(self, *_exc: object) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
