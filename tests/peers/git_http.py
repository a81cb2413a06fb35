"""A real Git server on loopback: git's own `http-backend` (smart HTTP) behind a threaded server.

    with GitServer(tmp_path / "forge") as server:
        repository = server.create("fraud", private=True)
        work = repository.clone(tmp_path / "work")
        commit = work.commit({"project.yaml": "..."}, "First")
        work.push()

Pushing needs `server.user` and `server.password`, reading only where the repository is private. A repository can be
made to misbehave (`repository.mode`), and `server.before` sees each request before it is answered. Webhooks are the
test's business. The server keeps a list of what it was asked (`server.requests`).
"""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import parse_qs, urlsplit

_CHUNK = 64 * 1024
_CLIENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
_SOMEBODY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


class Mode(Enum):
    """How a repository answers reading."""

    WELL = "well"
    GONE = "gone"  # 404
    FORBIDDEN = "forbidden"  # 403
    BUSY = "busy"  # 429
    BROKEN = "broken"  # 500
    MOVED = "moved"  # 302 to `moved_to`
    PAGE = "page"  # 200 and a web page
    DROP = "drop"  # closes the connection without a word
    HANG = "hang"  # takes the request and says nothing, until the server stops or the mode changes
    STALL = "stall"  # sends `stall_after` bytes of a pack, then hangs


_STATUS = {Mode.GONE: 404, Mode.FORBIDDEN: 403, Mode.BUSY: 429, Mode.BROKEN: 500}


@dataclass(frozen=True)
class Request:
    """`service` is git-upload-pack (reading) or git-receive-pack (pushing); `user` who proved to be who."""

    method: str
    repository: str
    service: str
    user: str | None
    authorization: str | None


@dataclass
class GitRepository:
    """A bare repository on the server."""

    server: GitServer
    name: str
    path: Path
    private: bool = False
    mode: Mode = Mode.WELL
    moved_to: str = ""
    stall_after: int = 128 * 1024  # more than one packet of the protocol
    sent: int = 0  # bytes of packs and lists so far
    changed: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.server.url}/{self.name}.git"

    def behave(self, mode: Mode) -> None:
        self.mode = mode
        self.changed.set()
        self.changed = threading.Event()

    def git(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run git in the bare repository itself: what an administrator (or attacker) does behind the server's back."""
        return run_git(self.path, *arguments, stdin=stdin)

    def tip(self, ref: str = "refs/heads/main") -> str:
        return self.git("rev-parse", "--verify", ref)

    def clone(self, into: Path) -> WorkingCopy:
        into.mkdir(parents=True, exist_ok=True)
        run_git(into, "init", "--quiet", "--initial-branch=main")
        address = urlsplit(self.url)
        run_git(
            into,
            "remote",
            "add",
            "origin",
            address._replace(netloc=f"{self.server.user}:{self.server.password}@{address.netloc}").geturl(),
        )
        if self.git("for-each-ref", "--count=1"):
            run_git(into, "fetch", "--quiet", "origin")
            run_git(into, "checkout", "--quiet", "-B", "main", "origin/main")
        return WorkingCopy(self, into)


@dataclass(frozen=True)
class WorkingCopy:
    """Somebody's clone, who pushes over HTTP."""

    repository: GitRepository
    path: Path

    def git(self, *arguments: str, stdin: bytes | None = None) -> str:
        return run_git(self.path, *arguments, stdin=stdin)

    def commit(self, files: dict[str, str | bytes | None], message: str = "Change") -> str:
        """Write `files` (None deletes) and commit everything, also where nothing changed. The commit's id."""
        for name, content in files.items():
            file = self.path / name
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def push(self, *refspecs: str, force: bool = False) -> None:
        """Push HEAD's branch, or `refspecs`."""
        options = ["--force"] if force else []
        self.git("push", "--quiet", *options, "origin", *(refspecs or ("HEAD",)))


def run_git(folder: Path, *arguments: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "HOME": os.devnull, **_CLIENT, **_SOMEBODY},
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"git {' '.join(arguments)}: {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return done.stdout.decode("utf-8", "surrogateescape").strip()


class GitServer:
    """Bare repositories under `root`, at `url` from `start` (or `with`) to `stop`."""

    def __init__(self, root: Path, *, user: str = "ada", password: str = "correct-horse-battery") -> None:
        self.root = root
        self.user = user
        self.password = password
        self.repositories: dict[str, GitRepository] = {}
        self.requests: list[Request] = []
        self.before: Callable[[Request], None] = lambda _: None
        self.stopping = threading.Event()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.git = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def create(self, name: str, *, private: bool = False) -> GitRepository:
        """An empty repository. `name` may have slashes (`ml/fraud`)."""
        path = self.root / f"{name}.git"
        path.mkdir(parents=True)
        run_git(path, "init", "--quiet", "--bare", "--initial-branch=main")
        run_git(path, "config", "uploadpack.allowFilter", "true")
        self.repositories[name] = GitRepository(self, name, path, private)
        return self.repositories[name]

    def start(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self.stopping.set()
        for repository in self.repositories.values():
            repository.behave(Mode.WELL)
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def asked(self, service: str = "git-upload-pack", method: str = "POST") -> int:
        return sum(r.service == service and r.method == method for r in self.requests)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def user_of(self, authorization: str | None) -> str | None:
        wanted = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return self.user if authorization == wanted else None


class _Http(ThreadingHTTPServer):
    git: GitServer
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed in the middle of an answer is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
        """Tests read `server.requests`."""

    def _answer(self) -> None:
        git, address = self.server.git, urlsplit(self.path)
        name, _, rest = address.path.removeprefix("/").partition(".git/")
        service = parse_qs(address.query).get("service", [rest.rpartition("/")[2]])[0]
        authorization = self.headers["Authorization"]
        request = Request(self.command, name, service, git.user_of(authorization), authorization)
        git.requests.append(request)
        git.before(request)
        repository = git.repositories.get(name)
        if repository is None:
            self._refuse(404)
        elif (service == "git-receive-pack" or repository.private) and request.user is None:
            self._refuse(401, {"WWW-Authenticate": 'Basic realm="git"'})
        elif service == "git-receive-pack" or repository.mode is Mode.WELL:
            self._run_backend(address.path, address.query, request, repository, cut=False)
        elif repository.mode is Mode.STALL:
            self._run_backend(address.path, address.query, request, repository, cut=request.method == "POST")
        elif repository.mode is Mode.HANG:
            repository.changed.wait()
            self.close_connection = True
        elif repository.mode is Mode.DROP:
            self.close_connection = True
        elif repository.mode is Mode.MOVED:
            self._refuse(302, {"Location": f"{repository.moved_to}{rest and '/' + rest}?{address.query}"})
        elif repository.mode is Mode.PAGE:
            self._refuse(200, {"Content-Type": "text/html"}, b"<html>Welcome</html>")
        else:
            self._refuse(_STATUS[repository.mode])

    def _refuse(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.close_connection = True
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(body)), "Connection": "close"}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def _run_backend(self, path: str, query: str, request: Request, repository: GitRepository, *, cut: bool) -> None:
        self.close_connection = True
        with self._body() as body, tempfile.TemporaryFile() as log:
            backend = subprocess.Popen(
                ["git", "http-backend"],
                env=self._cgi(path, query, request),
                stdin=body,
                stdout=subprocess.PIPE,
                stderr=log,
            )
            with backend:
                assert backend.stdout is not None
                self._head(backend.stdout)
                if cut:
                    begin = backend.stdout.read(repository.stall_after)
                    self.wfile.write(begin)
                    self.wfile.flush()
                    if len(begin) == repository.stall_after:
                        repository.changed.wait()
                else:
                    while chunk := backend.stdout.read1(_CHUNK):  # type: ignore[attr-defined]  # buffered
                        self.wfile.write(chunk)
                        repository.sent += len(chunk)

    def _cgi(self, path: str, query: str, request: Request) -> dict[str, str]:
        size = self.headers["Content-Length"]
        return {
            "PATH": os.environ["PATH"],
            "HOME": os.devnull,
            **_CLIENT,
            "GIT_PROJECT_ROOT": str(self.server.git.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers["Git-Protocol"] or "",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers["Content-Type"] or "",
            "HTTP_CONTENT_ENCODING": self.headers["Content-Encoding"] or "",
            "REMOTE_ADDR": "127.0.0.1",
            **({"CONTENT_LENGTH": size} if size else {}),
            **({"REMOTE_USER": request.user} if request.user else {}),
        }

    def _head(self, answer: IO[bytes]) -> None:
        headers = []
        while line := answer.readline().strip():
            key, _, value = line.decode().partition(": ")
            headers.append((key, value))
        status = next((value for key, value in headers if key == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for key, value in headers:
            if key != "Status":
                self.send_header(key, value)
        self.send_header("Connection", "close")
        self.end_headers()

    @contextlib.contextmanager
    def _body(self) -> Iterator[IO[bytes]]:
        """The request's body as a file that a process can read."""
        with tempfile.TemporaryFile() as file:
            if self.headers["Transfer-Encoding"] == "chunked":
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    file.write(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
            else:
                file.write(self.rfile.read(int(self.headers["Content-Length"] or 0)))
            file.seek(0)
            yield file
