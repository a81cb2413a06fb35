"""Large repositories: looking for news costs what `git fetch` costs, and a push costs by what it changes, not by what there is.

A look without news is compared with `git fetch` of the same forge into a bare mirror, twice: what our Git room does of it (the
fetch, guarded and locked, and every ref with what it points to), and the service's whole piece of work, from its claim
until it is put down, which also reads what the branch declares and waits three times for the disk.

A push changes one file; the reference is the same push to the smallest repository. Pushes come far enough apart that the
service is ready for the next one: it has made two more checkouts in the background, one to load the project from and
one to run it in. What that takes, a push that came right after another, and the first one ever are printed beside it. The
repositories have a hundred files a folder, of which three in four are empty, so that the disk holds all their checkouts.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from service.settings import Repository, Settings
from service.source import Source
from tests.bench.figure import Bench, Figure, NotProven, in_turn
from tests.bench.pushing import Site, at, ended_run
from tests.peers.forge import deliver, push_payload, signed
from tests.peers.git_http import run_git
from tests.peers.service_process import ServiceProcess, wait_for

_READY_S = 400.0
_IN_A_FOLDER = 100
# A mirror of branches and tags.
_MIRROR = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


def measure(bench: Bench) -> Sequence[Figure]:
    sizes = {"2k": 2_000, "20k": bench.size(20_000, 2_500), "100k": bench.size(100_000, 3_000)}
    with Site(bench.folder) as site:
        bench.say("the service starts")
        service = site.service(*(f"of-{size}" for size in sizes), warm=True)
        teams = {}
        for size, files in sizes.items():
            bench.say(f"a repository of {files:,} files is made")
            teams[size] = _Large(site, service, f"of-{size}", files)
        first = {size: _first(bench, team) for size, team in teams.items()}
        wait_for(partial(_ready, site, len(teams)), _READY_S, "the service to be ready for the next pushes")
        return [*_looks(bench, site, teams["20k"]), *_pushes(bench, site, teams), *_apart("first push ever", first)]


def _first(bench: Bench, team: _Large) -> list[float]:
    bench.say(f"{team.name} is pushed for the first time")
    return [team.push()]


def _looks(bench: Bench, site: Site, team: _Large) -> list[Figure]:
    mirror = site.folder / "mirror.git"
    run_git(site.folder, "init", "--quiet", "--bare", str(mirror))
    fetch = partial(_fetch, mirror, team.url)
    fetch()
    if not (mirror / "packed-refs").exists() and not (mirror / "refs/heads/main").exists():
        raise NotProven("the bare mirror has no branch after its fetch")
    repository = Repository(name=team.name, url=team.url, webhook_secrets="insecure")
    source = Source(Settings(data_dir=site.folder / "another", repositories=(repository,)))
    source.fetch(repository)
    turns: dict[str, Callable[[], float]] = {
        "bare": fetch,
        "mirror": lambda: _timed(lambda: source.fetch(repository)),
        "work": team.look,
    }
    found = in_turn(bench.size(21, 2), turns, bench.say)
    source.close()
    return [
        Figure.paired("a fetch of 20k files without news, of a bare git fetch", found["mirror"], found["bare"], "s"),
        Figure.paired("the same as work of the service, to its outcome", found["work"], found["bare"], "s"),
        Figure.absolute("· the same from webhook to outcome", team.outcomes, "s"),
    ]


def _fetch(mirror: Path, url: str) -> float:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-C", str(mirror), "fetch", "--quiet", "--prune", url, *_MIRROR]
    return _timed(lambda: subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=True))


def _timed(do: Callable[[], object]) -> float:
    began = time.monotonic()
    do()
    return time.monotonic() - began


def _pushes(bench: Bench, site: Site, teams: dict[str, _Large]) -> list[Figure]:
    rests: dict[str, list[float]] = {size: [] for size in teams}

    def turn(size: str) -> float:
        taken = teams[size].push()
        began = time.monotonic()
        wait_for(partial(_ready, site, len(teams)), _READY_S, "the service to be ready for the next push")
        rests[size].append(time.monotonic() - began)
        return taken

    def turn_after(size: str) -> float:
        teams[size].push()
        taken = teams[size].push()
        wait_for(partial(_ready, site, len(teams)), _READY_S, "the service to be ready for the next push")
        return taken

    found = in_turn(bench.size(7, 1), {size: partial(turn, size) for size in teams}, bench.say)
    after = in_turn(bench.size(1, 1), {size: partial(turn_after, size) for size in teams}, bench.say)
    names = {"20k": "one-file push to 20k files, of one to 2k", "100k": "one-file push to 100k files, of one to 2k"}
    return [
        *(Figure.paired(name, found[size], found["2k"], "s") for size, name in names.items()),
        *_apart("ready for the next push after", rests),
        *_apart("push right after another", after),
    ]


def _apart(what: str, of: dict[str, list[float]]) -> Iterator[Figure]:
    for size, values in of.items():
        yield Figure.absolute(f"· {size} files: {what}", values, "s")


def _ready(site: Site, repositories: int) -> bool:
    """Whether the service has two checkouts at hand for each repository."""
    spares = site.folder.glob("service-*/data/mirrors/.work/*/spare-*")
    return sum(_whole(spare) for spare in spares) == 2 * repositories


def _whole(spare: Path) -> bool:
    """git has written its index, which is the last it does, and the top belongs to the runner's user, which is the last we do."""
    try:
        return (spare / "index").exists() and ((spare / "files").stat().st_uid != 0 or os.geteuid() != 0)
    except FileNotFoundError:
        return False


class _Large:
    """A repository of `files` files and its team, who work without a checkout."""

    def __init__(self, site: Site, service: ServiceProcess, name: str, files: int) -> None:
        self.name = name
        self._service = service
        self._team = site.team(name)
        self._pushes = 0
        self.outcomes: list[float] = []
        self._import(b"".join(_files(files)))

    @property
    def url(self) -> str:
        return self._team.work.repository.url

    def push(self) -> float:
        """Seconds from a push that changes one file to the first step; the run has ended then."""
        self._pushes += 1
        push = f"{self.name}-{self._pushes}"
        self._import(b"from refs/heads/main^0\n" + b"".join(_project(self._team.files(push))))
        began = self._team.push()
        taken = self._team.stamped(push) - began
        ended_run(self._service, self.name, self._tip())
        return taken

    def look(self) -> float:
        """Seconds of work for a webhook that tells nothing new."""
        count, seconds = self._fetches()
        body, headers = signed(push_payload(f"ada/{self.name}", None, self._tip()))
        answer = deliver(self._service.http, self.name, body, headers)
        if answer is None or answer.status_code != 202:
            raise NotProven(f"the webhook was not taken: {answer}")
        path = f"/deliveries/{answer.json()['delivery']}"
        wait_for(lambda: self._service.get(path)["outcome"], _READY_S, f"an outcome of {path}")
        delivery = self._service.get(path)
        if delivery["outcome"] != "unchanged" or delivery["outcome_at"] is None:
            raise NotProven(f"the look found something: {delivery}")
        self.outcomes.append(at(delivery["outcome_at"]) - at(delivery["received_at"]))
        wait_for(lambda: self._fetches()[0] > count, _READY_S, "the fetch to be put down")
        count_after, seconds_after = self._fetches()
        if count_after != count + 1:
            raise NotProven(f"{count_after - count:.0f} fetches were made")
        return seconds_after - seconds

    def _fetches(self) -> tuple[float, float]:
        """How many there were, and the seconds that they took."""
        lines = self._service.http.get("/metrics").text.splitlines()
        values = {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}
        return values['gitops_work_seconds_count{kind="fetch"}'], values['gitops_work_seconds_sum{kind="fetch"}']

    def _tip(self) -> str:
        return self._team.work.git("rev-parse", "refs/heads/main")

    def _import(self, changes: bytes) -> None:
        head = b"commit refs/heads/main\ncommitter Ada <ada@example.com> %d +0000\ndata 6\nChange\n" % time.time()
        self._team.work.git("fast-import", "--quiet", stdin=head + changes)


def _files(count: int) -> Iterator[bytes]:
    for number in range(count):
        text = b"" if number % 4 else b"number %d\n" % number
        yield b"M 644 inline data/%03d/%06d.txt\n" % (number // _IN_A_FOLDER, number) + _data(text)


def _project(files: Mapping[str, str | bytes | None]) -> Iterator[bytes]:
    """git stores a file that did not change no second time, and its path does not differ."""
    for name, text in files.items():
        assert isinstance(text, str)
        yield b"M 644 inline %s\n" % name.encode() + _data(text.encode())


def _data(text: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(text), text)
