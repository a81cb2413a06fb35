"""Three services on one PostgreSQL, each behind a wire of its own, and in front of them what a Service in a cluster is.

Requests go in turn to those that were ready a moment ago. The replicas have folders of their own, but for the runs': they are on one
machine, and the process launcher's jobs lie there.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg

from tests.peers.postgres import Postgres
from tests.peers.service_process import ServiceProcess, wait_for
from tests.peers.wire import Wire

_LOOK_S = 0.3
_ANSWER_S = 120.0
# For all of them to start at once, on a machine that has other things to do.
_START_S = 240.0
REPLICAS = 3


class Replica(ServiceProcess):
    """One of them; `wire` is its way to the database."""

    wire: Wire

    def signal_master(self, number: int) -> None:
        """As a supervisor does."""
        os.kill(self.master, number)

    def signal(self, number: int) -> None:
        for pid in (*self.workers(), self.master):
            os.kill(pid, number)


class Replicas(ServiceProcess):
    """What a test knows of a service, said to all of them, or to whoever's turn it is."""

    def __init__(
        self, folder: Path, config: Mapping[str, Any], environment: Mapping[str, str], server: Postgres
    ) -> None:
        super().__init__(folder / "all", config, environment)
        self._stack = ExitStack()
        self._url = self._stack.enter_context(server.database())
        self._socket = server.socket
        self.all_of_them = [self._replica(folder, config, environment, number) for number in range(REPLICAS)]
        self.stopped: set[int] = set()
        self._ready: list[Replica] = []
        self._turn = itertools.count()
        self._ended = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)

    def _replica(self, folder: Path, config: Mapping[str, Any], environment: Mapping[str, str], number: int) -> Replica:
        wire = self._stack.enter_context(Wire(self._socket))
        name = self._url.partition("@/")[2].partition("?")[0]
        url = f"postgresql+psycopg://tester@127.0.0.1:{wire.port}/{name}?sslmode=disable&gssencmode=disable"
        own = {**config, "store": {"url": url}}
        replica = Replica(folder / f"replica-{number}", own, environment)
        replica.wire = wire
        return replica

    # As a supervisor of all.

    def start(self) -> Self:
        for replica in self.all_of_them:
            replica.start()
        self._looking.start()
        return self

    def wait_ready(self) -> Self:
        wait_for(lambda: len(self._ready) == REPLICAS, _START_S, lambda: f"all to be ready\n{self.tail()}")
        return self

    def keep_alive(self) -> None:
        for number, replica in enumerate(self.all_of_them):
            if number not in self.stopped:
                replica.keep_alive()

    def tail(self, size: int = 3000) -> str:
        return "\n".join(f"--- {replica.data_dir}\n{replica.tail(size)}" for replica in self.all_of_them)

    def close(self) -> None:
        self._ended.set()
        for replica in self.all_of_them:
            replica.wire.mend()
            if replica.alive():
                replica.signal(signal.SIGCONT)
            replica.close()
        super().close()
        self._stack.close()

    # As a client of whoever is ready.

    def one(self) -> Replica | None:
        """Whose turn it is."""
        ready = self._ready
        return ready[next(self._turn) % len(ready)] if ready else None

    def get(self, path: str, **query: str | int) -> Any:
        """Of any; asked again of the next one."""
        deadline = time.monotonic() + _ANSWER_S
        while True:
            replica = self.one()
            try:
                if replica is not None:
                    answer = replica.http.get(f"/api/v1{path}", params=query)
                    if answer.status_code != 503:
                        answer.raise_for_status()
                        return answer.json()
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, f"{path} was not answered by any\n{self.tail()}"
            time.sleep(0.1)

    def _look(self) -> None:
        with httpx.Client(timeout=2.0, trust_env=False) as http:
            while not self._ended.wait(_LOOK_S):
                self._ready = [replica for replica in self.all_of_them if _is_ready(http, replica)]

    # What the database says.

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """By the socket itself, whatever the wires do."""
        with psycopg.connect(self._url.replace("+psycopg", "")) as connection:
            return connection.execute(statement.encode()).fetchall()

    def leader(self) -> int | None:
        """Who keeps the clock; None where nobody has a lease on it."""
        held = self.query(
            "SELECT owner FROM work WHERE kind = 'clock' AND lease_until > extract(epoch FROM clock_timestamp())"
        )
        if not held or held[0][0] is None:
            return None
        pid = int(str(held[0][0]).rsplit("-", 2)[1])
        owners = [n for n, replica in enumerate(self.all_of_them) if replica.alive() and pid in replica.workers()]
        return owners[0] if owners else None


def _is_ready(http: httpx.Client, replica: Replica) -> bool:
    try:
        return http.get(f"{replica.url}/readyz").status_code == 200
    except httpx.TransportError:
        return False
