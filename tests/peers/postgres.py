"""A PostgreSQL server of our own: on a Unix socket in a folder of its own, never as root, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import psycopg
from sqlalchemy.engine import make_url

from tests.peers.present import postgres_programs


class Postgres:
    """`with Postgres() as server:` and `with server.database() as url:` for each test. A `durable` one forces commits to the disk."""

    def __init__(self, *, durable: bool = False) -> None:
        programs = postgres_programs()
        if programs is None:
            raise FileNotFoundError("PostgreSQL's server programs")
        self._programs = programs
        self._options = {} if durable else {"fsync": "off", "full_page_writes": "off"}
        self._root = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 bytes
        self._log = self._root / "log"
        self._server: subprocess.Popen[bytes] | None = None
        self._user = _not_root()
        if self._user is not None:
            os.chown(self._root, self._user.pw_uid, self._user.pw_gid)

    def __enter__(self) -> Self:
        try:
            words = ["-D", self._data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
            if self._launch("initdb", *words).wait(120):
                raise RuntimeError(f"initdb failed: {self._log.read_text()}")
            self.start()
        except BaseException:
            self.stop()
            shutil.rmtree(self._root, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    def start(self) -> None:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": self._root,
            **self._options,
        }
        self._server = self._launch(
            "postgres", "-D", self._data, *(f"--{name}={value}" for name, value in options.items())
        )
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {self._log.read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """At once, as a crash would."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(60)
            self._server = None

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a fresh, empty database that is dropped afterwards, whoever is still connected."""
        name = f"t{uuid4().hex}"
        with self._administer() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"postgresql+psycopg://tester@/{name}?host={self._root}"
        finally:
            with self._administer() as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def bench(self, url: str, script: Path, *, clients: int, seconds: float) -> str:
        """What pgbench prints after having run `script` as fast as it goes."""
        program = shutil.which("pgbench") or str(self._programs / "pgbench")
        database = make_url(url)
        words = [
            "--no-vacuum",
            "--file",
            str(script),
            "--client",
            str(clients),
            "--jobs",
            "2",
            "--time",
            f"{seconds:.0f}",
        ]
        where = ["--host", str(self._root), "--username", str(database.username), str(database.database)]
        return subprocess.run([program, *words, *where], check=True, capture_output=True, text=True).stdout

    def _administer(self) -> psycopg.Connection:
        return psycopg.connect(f"host={self._root} user=tester dbname=postgres", autocommit=True)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._root / ".s.PGSQL.5432"

    @property
    def _data(self) -> str:
        return str(self._root / "data")

    def _answers(self) -> bool:
        try:
            self._administer().close()
        except psycopg.OperationalError:
            return False
        return True

    def _launch(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        """Never as root; and a test run that is killed leaves no server behind (SIGQUIT is its immediate shutdown)."""
        whose: dict[str, Any] = {}
        if self._user is not None:
            whose = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        mortal = ["setpriv", "--pdeathsig", "QUIT"] if shutil.which("setpriv") else []
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*mortal, str(self._programs / program), *words],
                cwd=self._root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
                **whose,
            )


def _not_root() -> pwd.struct_passwd | None:
    """Whom the server runs as when we are root, which it refuses to be; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
