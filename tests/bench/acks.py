"""What a durable acknowledgement costs: against a commit for each, against no durability at all, and beside work.

Three services get the same signed pushes in turn: ours, one without group commit, one that only checks signatures. They fetch
from a Git server that takes its time, so that each 202 writes a delivery and work, and nothing else goes on. Then ours is
measured idle and while real pushes of another repository are fetched, loaded and run, in turn again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from pathlib import Path

from service.receiver.signature_only import REASON
from tests.bench.figure import Bench, Figure, NotProven, in_turn
from tests.bench.kept import prove_kept
from tests.bench.load import SECRET, Came, Order, send
from tests.bench.team import Team
from tests.peers.forge import deliver, push_payload, signed
from tests.peers.git_http import GitServer, Mode
from tests.peers.service_process import ServiceProcess

OURS = "ours"
ALONE = "a commit each"
UNKEPT = "signature only"
IDLE = "ours, idle"
BUSY = "ours, beside work"
_ENVIRONMENT = {
    OURS: {},
    ALONE: {"GITOPS_BENCH_STORE_BATCH": "1"},
    UNKEPT: {"GITOPS_BENCH_ACKNOWLEDGE": "signature"},
}
CONNECTIONS = 32
# The repository of the load, which no fetch ever answers, and the one of the team that works.
_LOADED, _TEAM = "loaded", "quickstart"


def measure(bench: Bench) -> list[Figure]:
    with ExitStack() as stack:
        bench.folder.chmod(0o755)  # runners have a user of their own
        forge = stack.enter_context(GitServer(bench.folder / "forge"))
        forge.create(_LOADED).behave(Mode.HANG)
        team = Team(forge.create(_TEAM), bench.folder / "work")
        served = {
            name: stack.enter_context(
                _service(bench.folder / name.replace(" ", "-"), forge, environment, warm=name == OURS)
            )
            for name, environment in _ENVIRONMENT.items()
        }
        _prove_signatures_are_checked(served)
        loads = in_turn(
            bench.size(9, 1), {name: partial(_load, bench, service) for name, service in served.items()}, bench.say
        )
        _prove_references(loads)
        ours = served[OURS]
        states = {IDLE: partial(_idle, bench, ours, team), BUSY: partial(_busy, bench, ours, team)}
        beside = in_turn(bench.size(7, 1), states, bench.say)
        bench.say("looking for every acknowledged push in the stores")
        for service in served.values():
            service.stop()
        prove_kept(ours, _LOADED, [*loads[OURS], *beside[IDLE], *beside[BUSY]])
        prove_kept(served[ALONE], _LOADED, loads[ALONE])
    return _figures(loads, beside)


def _figures(loads: dict[str, list[Came]], beside: dict[str, list[Came]]) -> list[Figure]:
    rate = {name: [came.rate for came in turns] for name, turns in loads.items()}
    late = {name: [came.p99_ms for came in turns] for name, turns in (loads | beside).items()}
    return [
        Figure.paired("acknowledged, against a commit each", rate[OURS], rate[ALONE], "/s"),
        Figure.paired("99th percentile, against a commit each", late[OURS], late[ALONE], "ms"),
        Figure.paired("acknowledged, against the signature only", rate[OURS], rate[UNKEPT], "/s"),
        Figure.paired("99th percentile beside work, against idle", late[BUSY], late[IDLE], "ms"),
        Figure.absolute("median of an acknowledgement", [came.p50_ms for came in loads[OURS]], "ms"),
    ]


def _service(folder: Path, forge: GitServer, environment: dict[str, str], *, warm: bool) -> ServiceProcess:
    """A warm parent only where the team works: each imports MLRun."""
    repositories = [
        {"name": name, "url": forge.repositories[name].url, "webhook_secrets": [SECRET], "poll": 0}
        for name in (_LOADED, _TEAM)
    ]
    return ServiceProcess(folder, {"repositories": repositories, "launcher": {"warm": warm}}, environment)


def _load(bench: Bench, service: ServiceProcess) -> Came:
    seconds = 0.5 if bench.quick else 3.0
    return send(Order(ports=[service.port], hook=_LOADED, connections=CONNECTIONS, seconds=seconds))


def _idle(bench: Bench, service: ServiceProcess, team: Team) -> Came:
    team.wait_idle(service)
    return _load(bench, service)


def _busy(bench: Bench, service: ServiceProcess, team: Team) -> Came:
    """While one push after the other is fetched, loaded and run."""
    with team.at_work(service):
        return _load(bench, service)


def _prove_signatures_are_checked(served: Mapping[str, ServiceProcess]) -> None:
    body, headers = signed(push_payload(f"ada/{_LOADED}", None, "1" * 40), secret="somebody else's secret")
    for name, service in served.items():
        answer = deliver(service.http, _LOADED, body, headers)
        if answer is None or answer.status_code != HTTPStatus.UNAUTHORIZED:
            raise NotProven(f"{name}: a push with a wrong signature was answered {answer}")


def _prove_references(loads: Mapping[str, Sequence[Came]]) -> None:
    """That the one keeps nothing, and the others decided about each push."""
    for name, turns in loads.items():
        expected = REASON if name == UNKEPT else f"{_LOADED} is fetched for main"
        if strange := [reason for came in turns for reason in came.reasons if not reason.startswith(expected)]:
            raise NotProven(f"{name}: answered {strange[0]!r}, not {expected!r}")
