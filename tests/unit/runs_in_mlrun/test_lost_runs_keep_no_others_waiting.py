"""Runs that were called lost are looked for in MLRun: those that go on are not to wait for that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from service.domain.states import RunState
from service.errors import MlrunAway
from service.launchers import EndReason, Job, JobKind
from service.launchers.mlrun import following
from service.launchers.mlrun.order import order_of
from service.launchers.mlrun.submitting import SUBMITTING
from service.store import Store, jobs, runs
from service.store.jobs import PodJob
from tests.peers.memory_mlrun import Json, MemoryMlrun
from tests.unit.runs_in_mlrun.conftest import Place, a_job
from tests.unit.store.rows import run
from tests.waiting import until

LOST = 20


@dataclass
class Asked(MemoryMlrun):
    """Remembers the order in which it is asked for runs, and what for."""

    asked: list[str] = field(default_factory=list)

    def run(self, project: str, uid: str) -> Json | None:
        self.asked.append("run")
        return super().run(project, uid)

    def runs(self, project: str, *, labels: Iterable[str] = (), since: datetime | None = None) -> list[Json]:
        self.asked.append("list")
        return super().runs(project, labels=labels, since=since)

    def lists_between_two_looks(self) -> list[int]:
        """At the run that goes on."""
        return [len(between) for between in "".join(one[0] for one in self.asked).split("r")]


@pytest.fixture
def asked(place: Place, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """With one run that goes on, and others that were lost."""
    monkeypatch.setattr(following, "_SWEEP_S", 0.0)
    mlrun = Asked()
    place.mlrun = mlrun
    place.reborn()
    mlrun.becomes(place.start(), "running")
    for number in range(LOST):
        _lose(place.store, f"lost{number:02}")
    return mlrun


def test_a_run_that_goes_on_is_looked_at_while_lost_ones_are_looked_for(place: Place, asked: Asked) -> None:
    place.until(RunState.RUNNING)
    until(lambda: asked.asked.count("list") > LOST, "all to be looked for, and again")
    assert max(asked.lists_between_two_looks()) < LOST // 4


def test_what_is_wrong_with_one_keeps_no_other_from_being_found(place: Place, asked: Asked) -> None:
    """The first has turned up, and there is no run to say so of."""
    last = f"lost{LOST - 1:02}"
    place.store.write(lambda connection: runs.add(connection, run(id=last, launcher="mlrun", state=RunState.LOST)))
    for job in ("lost00", last):
        uid = asked.make("demo", order_of(_job(job)).request)
        asked.becomes(uid, "aborted")
    place.until(RunState.RUNNING)

    def reason() -> str:
        with place.store.read() as connection:
            return runs.get(connection, last).reason

    until(lambda: uid in reason(), "the last to be found")


def test_a_mlrun_that_does_not_list_is_asked_for_one_until_the_next_time(
    place: Place, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.until(RunState.RUNNING)
    until(lambda: asked.asked.count("list") > 2, "some to be looked for")
    asked.unlisted = MlrunAway("MLRun did not answer in time", sent=True)
    monkeypatch.setattr(following, "_SWEEP_S", 3600.0)
    rounds = asked.asked.count("run")
    until(lambda: asked.asked.count("run") > rounds + 2, "the round that goes on to be over")
    before = asked.asked.count("list")
    rounds = asked.asked.count("run")
    until(lambda: asked.asked.count("run") > rounds + 5, "some rounds")
    assert asked.asked.count("list") == before


def _lose(store: Store, job: str) -> None:
    now = store.now()
    row = PodJob(
        id=job,
        launcher="mlrun",
        kind=JobKind.RUN,
        repository="demo",
        commit="abc",
        created_at=now,
        document=order_of(_job(job)).document(),
    )
    store.write(lambda connection: jobs.add(connection, row))
    store.write(lambda connection: jobs.take(connection, job, SUBMITTING, "", now=now))
    store.write(lambda connection: jobs.end(connection, job, EndReason.EXITED, now=now, detail="lost"))


def _job(job: str) -> Job:
    payload = a_job().payload
    return a_job(id=job, payload=payload | {"source_url": f"http://gitops:8080/archives/{job}/abc.tar.gz"})
