"""A PostgreSQL server of our own: on a Unix socket in a folder of its own, never as root, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import psycopg

from tests.peers.present import postgres_programs


class Postgres:
    """`with Postgres() as server:` and `with server.database() as url:` for each test."""

    def __init__(self) -> None:
        programs = postgres_programs()
        if programs is None:
            raise FileNotFoundError("PostgreSQL's server programs")
        self._programs = programs
        self._root = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 bytes
        self._user = _not_root()
        if self._user is not None:
            os.chown(self._root, self._user.pw_uid, self._user.pw_gid)

    def __enter__(self) -> Self:
        try:
            self._run(
                "initdb", "-D", self._data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"
            )
            self.start()
        except BaseException:
            shutil.rmtree(self._root, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    def start(self) -> None:
        options = f"-c listen_addresses='' -k {self._root} -c fsync=off -c full_page_writes=off"
        log = str(self._root / "log")
        self._run("pg_ctl", "-D", self._data, "-w", "-t", "60", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """At once, as a crash would."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop", check=False)

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

    def _administer(self) -> psycopg.Connection:
        return psycopg.connect(f"host={self._root} user=tester dbname=postgres", autocommit=True)

    @property
    def _data(self) -> str:
        return str(self._root / "data")

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        whose: dict[str, Any] = {}
        if self._user is not None:
            whose = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self._root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            check=False,
            **whose,
        )
        if check and done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.decode(errors='replace')}")


def _not_root() -> pwd.struct_passwd | None:
    """Whom the server runs as when we are root, which it refuses to be; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
