"""The demo's Git server, which is git's own `http-backend` (smart HTTP), with bad manners on demand.

    with GitServer(tmp_path / "forge") as server:
        repository = server.create("fraud", private=True)
        work = repository.clone(tmp_path / "work")
        commit = work.commit({"project.yaml": "..."}, "First")
        work.push()

With `tls`, a certificate and its key, it speaks HTTPS; clones trust `authority`, the file of who signed it.

Pushing needs `server.user` and `server.password`, reading only where the repository is private. A repository can be
made to misbehave (`repository.mode`), and `server.before` sees each request before it is answered. Webhooks are the
test's business. The server keeps a list of what it was asked (`server.requests`).
"""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from service.demo.git_server import PLAIN_GIT, RECEIVE, UPLOAD, GitHandler, Request
from service.demo.git_server import GitServer as PlainGitServer

__all__ = ["GitRepository", "GitServer", "Mode", "Request", "WorkingCopy", "run_git"]

_SOMEBODY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


_GOODBYE_S = 2.0


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
        if self.server.authority is not None:
            run_git(into, "config", "http.sslCAInfo", str(self.server.authority))
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
        env={"PATH": os.environ["PATH"], **PLAIN_GIT, **_SOMEBODY},
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"git {' '.join(arguments)}: {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return done.stdout.decode("utf-8", "surrogateescape").strip()


class _Handler(GitHandler):
    def answer(self, request: Request) -> None:
        git = self.server.git
        assert isinstance(git, GitServer)
        git.requests.append(request)
        git.before(request)
        repository = git.repositories.get(request.repository)
        if repository is None:
            self.refuse(404)
        elif (request.service == RECEIVE or repository.private) and request.user is None:
            self.ask_who()
        elif request.service == RECEIVE or repository.mode in (Mode.WELL, Mode.STALL):
            self.run_backend(request)
        elif repository.mode is Mode.HANG:
            repository.changed.wait()
            self.close_connection = True
        elif repository.mode is Mode.DROP:
            self.close_connection = True
        elif repository.mode is Mode.MOVED:
            rest = request.path.partition(".git/")[2]
            self.refuse(302, {"Location": f"{repository.moved_to}{rest and '/' + rest}?{request.query}"})
        elif repository.mode is Mode.PAGE:
            self.refuse(200, {"Content-Type": "text/html"}, b"<html>Welcome</html>")
        else:
            self.refuse(_STATUS[repository.mode])

    def finish(self) -> None:
        """Says that it has ended, where the end of the connection is the end of the answer: over TLS it could be anybody's."""
        super().finish()
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.settimeout(_GOODBYE_S)
            with contextlib.suppress(OSError):
                self.connection.unwrap()

    def send_on(self, request: Request, answer: IO[bytes]) -> int:
        git = self.server.git
        assert isinstance(git, GitServer)
        repository = git.repositories[request.repository]
        if repository.mode is not Mode.STALL or request.service == RECEIVE or request.method != "POST":
            sent = super().send_on(request, answer)
            repository.sent += sent
            return sent
        begin = answer.read(repository.stall_after)
        self.wfile.write(begin)
        self.wfile.flush()
        if len(begin) == repository.stall_after:
            repository.changed.wait()
        return len(begin)


class GitServer(PlainGitServer):
    """Bare repositories under `root`, at `url` from `start` (or `with`) to `stop`."""

    handler = _Handler

    def __init__(
        self,
        root: Path,
        *,
        user: str = "ada",
        password: str = "correct-horse-battery",
        tls: tuple[Path, Path] | None = None,
        authority: Path | None = None,
    ) -> None:
        super().__init__(root, user=user, password=password)
        self.authority = authority
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            # Each connection's own thread shakes hands.
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self.repositories: dict[str, GitRepository] = {}
        self.requests: list[Request] = []
        self.before: Callable[[Request], None] = lambda _: None
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return (
            super().url.replace("http:", "https:", 1) if isinstance(self._http.socket, ssl.SSLSocket) else super().url
        )

    def create(self, name: str, *, private: bool = False) -> GitRepository:
        """An empty repository. `name` may have slashes (`ml/fraud`)."""
        path = self.root / f"{name}.git"
        path.mkdir(parents=True)
        run_git(path, "init", "--quiet", "--bare", "--initial-branch=main", "--template=")
        with (path / "config").open("a") as config:  # a stage has dozens of repositories, and each git costs
            config.write("[uploadpack]\n\tallowFilter = true\n")
        self.repositories[name] = GitRepository(self, name, path, private)
        return self.repositories[name]

    def stop(self) -> None:
        self.stopping.set()
        for repository in self.repositories.values():
            repository.behave(Mode.WELL)
        super().stop()

    def asked(self, service: str = UPLOAD, method: str = "POST") -> int:
        return sum(r.service == service and r.method == method for r in self.requests)
