"""What a service costs that does nothing: the memory of its processes, and the time until a new one is ready.

The reference of the start is the same program told to import every library of requirements/service.in and every module of
its own before it starts; its log proves that it did. Both start on a store that is up to date, as nearly every start does.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.bench.figure import Bench, Figure, NotProven, in_turn
from tests.peers.forge import SECRET
from tests.peers.service_process import ServiceProcess, wait_for

OURS, EAGER = "ours", "everything imported"
_WISHES = Path(__file__).parents[2] / "requirements/service.in"
_PROOF = re.compile(r"imported before the start: (\d+) modules, with all of ([\w ]+)")
_KIB_PER_MIB = 1024


def measure(bench: Bench) -> list[Figure]:
    libraries = _libraries()
    with ExitStack() as stack:
        ours = _service(bench.folder / "ours", {})
        eager = _service(bench.folder / "eager", {"GITOPS_BENCH_IMPORTS": ",".join(libraries)})
        for service in (ours, eager):
            stack.callback(service.close)
            _ready_after(service)  # makes its store
        starts = {OURS: partial(_ready_after, ours), EAGER: partial(_ready_after, eager)}
        seconds = in_turn(bench.size(7, 1), starts, bench.say)
        _prove_imports(eager, libraries)
        bench.say("memory")
        memory = [_memory(ours) for _ in range(bench.size(3, 1))]
    return [
        Figure.paired("start to ready, against all imports at once", seconds[OURS], seconds[EAGER], "s"),
        Figure.absolute("memory of the idle processes (PSS)", memory, "MiB"),
    ]


def _service(folder: Path, environment: dict[str, str]) -> ServiceProcess:
    repository = {"name": "fraud", "url": "http://127.0.0.1:9/fraud.git", "webhook_secrets": [SECRET], "poll": 0}
    return ServiceProcess(folder, {"repositories": [repository], "launcher": {"warm": False}}, environment)


def _ready_after(service: ServiceProcess) -> float:
    """Seconds from the start of the process to the first 200 of /readyz."""
    began = time.perf_counter()
    service.start()
    while not service.ready():
        if not service.alive() or time.perf_counter() - began > 120:
            raise NotProven(f"the service did not get ready; its log ends:\n{service.tail()}")
        time.sleep(0.005)
    took = time.perf_counter() - began
    service.stop()
    return took


def _memory(service: ServiceProcess) -> float:
    """The sum of PSS of the service's processes once nothing is going on, in MiB: pages that several share count once."""
    service.start().wait_ready()
    try:
        before: list[float] = []

        def settled() -> bool:
            before.append(sum(_pss_kib(pid) for pid in _family(service.master)) / _KIB_PER_MIB)
            return len(before) > 10 and max(before[-10:]) - min(before[-10:]) < 0.5

        wait_for(settled, 60, lambda: f"the memory to settle: {before}")
        return before[-1]
    finally:
        service.stop()


def _family(master: int) -> list[int]:
    """It and all that it started; the runner's parent is nobody's child, so that it outlives the service."""
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            children[int(stat.read_text().rpartition(")")[2].split()[1])].append(int(stat.parent.name))
        except OSError:
            continue
    family = [master]
    for pid in family:
        family += children[pid]
    return family


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0  # it has ended
    found = re.search(r"^Pss: +(\d+) kB", lines, re.MULTILINE)
    return int(found[1]) if found else 0


def _libraries() -> list[str]:
    """The importable names of what requirements/service.in wishes for."""
    lines = _WISHES.read_text(encoding="utf-8").splitlines()
    wished = {canonicalize_name(Requirement(line).name) for line in lines if line.strip() and not line.startswith("#")}
    return sorted(
        package
        for package, distributions in packages_distributions().items()
        if not package.startswith("_") and wished & {canonicalize_name(name) for name in distributions}
    )


def _prove_imports(service: ServiceProcess, libraries: Sequence[str]) -> None:
    found = _PROOF.findall(service.log.read_text(encoding="utf-8"))
    if not found or set(found[-1][1].split()) != set(libraries):
        raise NotProven(f"the reference did not say that it imported {' '.join(libraries)}: {found}")
