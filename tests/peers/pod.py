"""A pod without a cluster: the companion as a real process, on the files that a Secret would hold, and the service's side of it.

`Callee` is the service's HTTP side over a real store, in this process, so that a test can lose an answer, or stop and start it on
the same port. `FAKE` is a program that takes the runner's place where MLRun is not needed: the job says what it does.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from flask import Flask
from werkzeug.serving import BaseWSGIServer, make_server

from service.launchers import EndReason, JobKind, tokens
from service.launchers.callbacks import Callbacks
from service.launchers.pack import PACKAGE, archive
from service.launchers.tracking import tracking
from service.settings import Settings
from service.source.archive import Archive
from service.store import Store, jobs, open_store
from service.store.jobs import PodJob
from service.web import problems, runners
from service.web.archives import Archives

END_S = 60.0
# `script` of the job is run with `emit`, `job`, `folder`; then the job has finished.
FAKE = f"""\
import json, os, sys, time
if sys.argv[1] == "--pod":
    from {PACKAGE}.__main__ import main
    sys.exit(main(sys.argv[1:]))
job = json.load(open(sys.argv[1]))
folder = job["folder"]
def emit(event, **fields):
    with open(os.path.join(folder, "events.jsonl"), "a") as file:
        file.write(json.dumps(dict(event=event, at="2026-01-01T00:00:00Z", **fields)) + "\\n")
emit("claimed", pid=os.getpid())
exec(job["script"])
emit("finished", state="succeeded", results={{}}, error=None)
"""


def fake_program(into: Path) -> Path:
    """runner.pyz with the real companion and the fake runner."""
    path = into / "runner.pyz"
    with zipfile.ZipFile(io.BytesIO(archive())) as packed, zipfile.ZipFile(path, "w") as made:
        for name in packed.namelist():
            made.writestr(name, FAKE if name == "__main__.py" else packed.read(name))
    return path


def token_of_pod(store: Store, job: str) -> str:
    """What a pod of this service shows."""
    return tokens.token_of(tokens.key_of_jobs(store), job)


class Callee:
    """The service as pods call it. `files` opens the archive of (repository, commit).

    `meddle` is asked before each request, by its last word, for another answer; `cut` after it was done, for how many bytes of the
    answer are sent (0: none of it; None: all).
    """

    def __init__(
        self, settings: Settings, files: Callable[[str, str], Archive], certificate: tuple[str, str] | None = None
    ) -> None:
        self._settings = settings
        self._certificate = certificate
        self._files = files
        self.requests: list[str] = []
        self.hosts: set[str] = set()
        self.ranges: list[str | None] = []  # of those for the source
        self.cut: Callable[[str], int | None] = lambda _: None
        self.meddle: Callable[[str], tuple[str, bytes] | tuple[str, bytes, dict[str, str]] | None] = lambda _: None
        self._port = 0
        self._server: BaseWSGIServer | None = None
        self.store: Store = None  # type: ignore[assignment] # between `stop` and `start`

    @property
    def url(self) -> str:
        return f"http{'s' if self._certificate else ''}://127.0.0.1:{self._port}"

    def start(self) -> Self:
        self.store = open_store(self._settings)
        app = Flask("callee")
        problems.register(app)
        app.register_blueprint(
            runners.blueprint(Callbacks(self.store, tracking(self._settings)), Archives(self._files, 16))
        )
        app.wsgi_app = self._between(app.wsgi_app)  # type: ignore[method-assign]
        self._server = make_server("127.0.0.1", self._port, app, threaded=True, ssl_context=self._certificate)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self) -> None:
        """As a service that is gone: nobody listens, and the store is closed."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self.store.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _between(self, app: Any) -> Any:
        def answer(environ: dict[str, Any], start: Any) -> Any:
            what = environ["PATH_INFO"].rpartition("/")[2]
            self.requests.append(what)
            self.hosts.add(environ["HTTP_HOST"])
            if what == "source":
                self.ranges.append(environ.get("HTTP_RANGE"))
            if (instead := self.meddle(what)) is not None:
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                headers = instead[2] if len(instead) == 3 else {}
                start(instead[0], [("Content-Length", str(len(instead[1]))), *headers.items()])
                return [instead[1]]
            answered = app(environ, start)
            size = self.cut(what)
            return answered if size is None else _part(answered, size, environ["werkzeug.socket"])

        return answer

    # What a launcher does.

    def add(
        self,
        job: str = "one",
        script: str = "",
        kind: JobKind = JobKind.RUN,
        payload: Mapping[str, Any] | None = None,
        **document: Any,
    ) -> str:
        plain = {"version": 1, "id": job, "kind": kind.value, "script": script, **(payload or {})}
        told = {"job": plain, "image": "example/image:1", "needs": {"python": "3.7"}, "look_s": 0.3, "flush_s": 30.0}
        row = PodJob(
            id=job,
            launcher="kubernetes",
            kind=kind,
            repository="ml",
            commit="a" * 40,
            document={**told, **document},
            created_at=1.0,
        )
        assert self.store.write(lambda conn: jobs.add(conn, row))
        return job

    def job(self, job: str = "one") -> PodJob:
        with self.store.read() as conn:
            return jobs.get(conn, job)

    def lines(self, job: str = "one") -> list[dict[str, Any]]:
        with self.store.read() as conn:
            return [json.loads(line) for line in jobs.lines(conn, job, 0, 100_000)]

    def events(self, job: str = "one") -> list[str]:
        return [line["event"] for line in self.lines(job)]

    def cancel(self, job: str = "one") -> None:
        self.store.write(lambda conn: jobs.cancel(conn, job, EndReason.CANCELLED))

    def secret(self, folder: Path, job: str = "one", **other: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {"id": job, "url": self.url, "token": token_of_pod(self.store, job), **other}.items():
            (folder / name).write_text(text + "\n")
        return folder


class Pod:
    """One start of the companion: `python runner.pyz --pod <secret>` in folders of its own."""

    def __init__(
        self,
        base: Path,
        python: Path,
        program: Path,
        secret: Path,
        environment: Mapping[str, str] | None = None,
        user: int | None = None,
    ) -> None:
        self.base = base
        places = {"HOME": base / "home", "TMPDIR": base / "tmp"}
        for place in (*places.values(), base / "work"):
            place.mkdir(parents=True, exist_ok=True)
            if user is not None:
                os.chown(place, user, user)
        self._log = (base / "log").open("ab")
        self.process = subprocess.Popen(
            [python, program, "--pod", secret],
            cwd=base / "work",
            env={
                "PATH": os.environ["PATH"],
                **{name: str(place) for name, place in places.items()},
                **(environment or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )

    @property
    def log(self) -> str:
        return (self.base / "log").read_text(errors="replace")

    @property
    def folder(self) -> Path:
        return self.base / "work" / "job"

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = END_S) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the pod did not end; it printed:\n{self.log}") from None

    def close(self) -> None:
        """With whatever it started."""
        for pid in (*children(self.process.pid), self.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self._log.close()


def _part(answered: Any, size: int, connection: socket.socket) -> Iterator[bytes]:
    """The first bytes of an answer; then the connection breaks."""
    answer = b"".join(answered)
    if hasattr(answered, "close"):
        answered.close()
    if size:
        yield answer[:size]
    connection.shutdown(socket.SHUT_RDWR)


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
