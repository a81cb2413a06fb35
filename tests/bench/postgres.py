"""What PostgreSQL would take, and what we acknowledge on it: by one replica, and by three that share the database and the load.

The reference is pgbench with as many clients, which inserts the very row that our service wrote, each under an id of its own, into a
table with the same indexes: one statement, and no signature, no web server, no work. All are databases of one server, with its defaults:
a commit is on the disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import text

from service.settings import Settings
from service.settings import Store as StoreSettings
from service.store import open_store
from service.store.models import deliveries
from tests.bench.figure import Bench, Figure, NotProven, in_turn
from tests.bench.kept import prove_kept
from tests.bench.load import SECRET, Came, Order, send
from tests.peers.git_http import GitServer, Mode
from tests.peers.postgres import Postgres
from tests.peers.service_process import ServiceProcess

ONE, THREE, PGBENCH = "one replica", "three replicas", "pgbench"
CLIENTS = 32
_LOADED = "loaded"
# Ours are ULIDs, which grow with time, and the forge's are UUIDs.
_ID = sql.SQL(
    "lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000000)::bigint), 14, '0') || lpad(to_hex(:many), 12, '0')"
)
_FORGE_ID = sql.SQL("gen_random_uuid()::text")
_DONE = re.compile(r"number of transactions actually processed: (\d+)")
_RATE = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)


def measure(bench: Bench) -> list[Figure]:
    with ExitStack() as stack:
        bench.folder.chmod(0o755)  # runners have a user of their own
        server = stack.enter_context(Postgres(durable=True))
        forge = stack.enter_context(GitServer(bench.folder / "forge"))
        forge.create(_LOADED).behave(Mode.HANG)
        of_one, of_three, of_none = (stack.enter_context(server.database()) for _ in range(3))
        one = _replicas(stack, bench.folder / "one", forge, of_one, 1)
        three = _replicas(stack, bench.folder / "three", forge, of_three, 3)
        first = _load(bench, one)
        reference = _Reference(bench, server, of_none, like=of_one)
        turns = {ONE: partial(_load, bench, one), THREE: partial(_load, bench, three)}
        came: dict[str, list[Came]] = {ONE: [first], THREE: []}

        def ours(name: str) -> float:
            came[name].append(turns[name]())
            return came[name][-1].rate

        rounds: dict[str, Callable[[], float]] = {
            ONE: partial(ours, ONE),
            PGBENCH: reference.run,
            THREE: partial(ours, THREE),
        }
        rates = in_turn(bench.size(9, 1), rounds, bench.say)
        reference.prove()
        for name, replicas in ((ONE, one), (THREE, three)):
            _prove_all_were_asked(replicas)
            prove_kept(replicas[0], _LOADED, came[name])
    return [
        Figure.paired(
            "acknowledged on PostgreSQL, against pgbench inserting the row", rates[ONE], rates[PGBENCH], "/s"
        ),
        Figure.paired("the same by three replicas", rates[THREE], rates[PGBENCH], "/s"),
    ]


def _replicas(stack: ExitStack, folder: Path, forge: GitServer, url: str, count: int) -> Sequence[ServiceProcess]:
    repository = {"name": _LOADED, "url": forge.repositories[_LOADED].url, "webhook_secrets": [SECRET], "poll": 0}
    runs = {"runs_dir": str(folder / "runs"), "warm": False}  # nothing is ever run
    config = {"store": {"url": url}, "repositories": [repository], "launcher": runs, "server": {"drain": 0}}
    replicas = [ServiceProcess(folder / str(number), config) for number in range(count)]
    return [stack.enter_context(replica) for replica in replicas]


def _load(bench: Bench, replicas: Sequence[ServiceProcess]) -> Came:
    ports = [replica.port for replica in replicas]
    return send(Order(ports=ports, hook=_LOADED, connections=CLIENTS, seconds=_seconds(bench)))


def _seconds(bench: Bench) -> float:
    return 1.0 if bench.quick else 3.0


def _prove_all_were_asked(replicas: Sequence[ServiceProcess]) -> None:
    for replica in replicas:
        metrics = replica.http.get("/metrics").text
        if not re.search(r'^gitops_webhook_deliveries_total\{[^}]*status="202"[^}]*\} [1-9]', metrics, re.MULTILINE):
            raise NotProven(f"the replica at port {replica.port} acknowledged nothing")


class _Reference:
    """pgbench, and a database like ours to insert into."""

    def __init__(self, bench: Bench, server: Postgres, url: str, like: str) -> None:
        self._server, self._url = server, url
        self._seconds = _seconds(bench)
        self._done = 0
        self._store = open_store(Settings(data_dir=bench.folder / "reference", store=StoreSettings(url=url)))
        self._script = bench.folder / "insert.sql"
        self._script.write_text(_insert(like))

    def run(self) -> float:
        """Rows a second."""
        printed = self._server.bench(self._url, self._script, clients=CLIENTS, seconds=self._seconds)
        done, rate = _DONE.search(printed), _RATE.search(printed)
        if done is None or rate is None:
            raise NotProven(f"pgbench printed {printed!r}")
        self._done += int(done[1])
        return float(rate[1])

    def prove(self) -> None:
        """Each transaction that it counted is a row, and each row is as large as ours."""
        with self._store.read() as connection:
            found = connection.execute(text("SELECT count(*), min(length(body)) FROM deliveries")).one()
            durable = connection.execute(text("SELECT current_setting('fsync'), current_setting('synchronous_commit')"))
            settings = tuple(durable.one())
        self._store.close()
        if found[0] != self._done or not found[1]:
            raise NotProven(f"pgbench counted {self._done} transactions, and there are {found[0]} rows")
        if settings != ("on", "on"):
            raise NotProven(f"a commit is not on the disk: fsync and synchronous_commit are {settings}")


def _insert(url: str) -> str:
    """A row that a service wrote, as one statement for pgbench, with other ids each time."""
    names = [column.name for column in deliveries.columns]
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute(sql.SQL("SELECT {} FROM deliveries LIMIT 1").format(columns)).fetchone()
        if row is None:
            raise NotProven("there is no delivery to insert again")
        fresh = {"id": _ID, "forge_id": _FORGE_ID}
        values = [fresh.get(name, sql.Literal(value)) for name, value in zip(names, row, strict=True)]
        statement = sql.SQL("INSERT INTO deliveries ({}) VALUES ({});").format(columns, sql.SQL(", ").join(values))
        return f"\\set many random(1, 281474976710655)\n{statement.as_string(connection)}\n"
