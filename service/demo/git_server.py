"""A Git server on loopback: git's own `http-backend` (smart HTTP) behind a threaded server of the standard library.

Everything on it, reading too, asks for one user's name and password: whoever can push to a repository has its workflows
run, so other users of the machine must not. `tests/peers/git_http.py` is this server with bad manners added.
"""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import parse_qs, urlsplit

# git as nobody in particular: no configuration of this machine, no question to a person.
PLAIN_GIT = {
    "HOME": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}
UPLOAD, RECEIVE = "git-upload-pack", "git-receive-pack"
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Request:
    """`service` is git-upload-pack (reading) or git-receive-pack (pushing); `user` who proved to be who."""

    method: str
    path: str
    query: str
    repository: str
    service: str
    user: str | None
    authorization: str | None


class GitHandler(BaseHTTPRequestHandler):
    """Answers one connection. `answer` is what another server may do otherwise."""

    protocol_version = "HTTP/1.1"
    server: _Http

    def answer(self, request: Request) -> None:
        """Wants a name and a password, then lets git answer."""
        if request.user is None:
            self.ask_who()
        elif not (self.server.git.root / f"{request.repository}.git").is_dir():
            self.refuse(HTTPStatus.NOT_FOUND)
        else:
            self.run_backend(request)

    def do_GET(self) -> None:
        self._take()

    def do_POST(self) -> None:
        self._take()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
        """Says nothing: what happens is seen at git's end."""

    def _take(self) -> None:
        git, address = self.server.git, urlsplit(self.path)
        name, _, rest = address.path.removeprefix("/").partition(".git/")
        service = parse_qs(address.query).get("service", [rest.rpartition("/")[2]])[0]
        authorization = self.headers["Authorization"]
        user = git.user_of(authorization)
        self.answer(Request(self.command, address.path, address.query, name, service, user, authorization))

    def ask_who(self) -> None:
        self.refuse(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": 'Basic realm="git"'})

    def refuse(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.close_connection = True
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(body)), "Connection": "close"}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def run_backend(self, request: Request) -> None:
        """Let `git http-backend` answer, over CGI."""
        self.close_connection = True
        with self._body() as body, tempfile.TemporaryFile() as log:
            backend = subprocess.Popen(
                ["git", "http-backend"], env=self._cgi(request), stdin=body, stdout=subprocess.PIPE, stderr=log
            )
            with backend:
                assert backend.stdout is not None
                self._head(backend.stdout)
                self.send_on(request, backend.stdout)

    def send_on(self, request: Request, answer: IO[bytes]) -> int:  # noqa: ARG002  for those who send it otherwise
        """What comes behind the headers; how many bytes it was."""
        sent = 0
        while chunk := answer.read1(_CHUNK):  # type: ignore[attr-defined]  # buffered
            self.wfile.write(chunk)
            sent += len(chunk)
        return sent

    def _cgi(self, request: Request) -> dict[str, str]:
        size = self.headers["Content-Length"]
        return {
            "PATH": os.environ["PATH"],
            **PLAIN_GIT,
            "GIT_PROJECT_ROOT": str(self.server.git.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers["Git-Protocol"] or "",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query,
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


class GitServer:
    """Bare repositories under `root`, at `url` from `start` (or `with`) to `stop`."""

    handler: type[GitHandler] = GitHandler

    def __init__(self, root: Path, *, user: str, password: str) -> None:
        self.root = root
        self.user = user
        self.password = password
        self._http = _Http(("127.0.0.1", 0), self.handler)
        self._http.git = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def user_of(self, authorization: str | None) -> str | None:
        wanted = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return self.user if authorization == wanted else None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Http(ThreadingHTTPServer):
    git: GitServer
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle of an answer has its own words for it."""
