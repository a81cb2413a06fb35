"""While an upgrade goes on, replicas have different settings: what one does not know is put back, so that another takes it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from service import limits
from service.domain.states import DeliveryState, NotificationState, Outcome, RunState
from service.errors import GitopsError
from service.launchers import EndReason, JobKind
from service.launchers.mlrun import MlrunLauncher
from service.mlrun_api import MlrunApi
from service.notifier import Notifier
from service.receiver import Intake, Spool
from service.reconciler import Reconciler, fetch, launch, rounds, watch
from service.reconciler.dispatcher import Held
from service.reconciler.rooms import Rooms
from service.settings import Settings
from service.store import Found, deliveries, jobs, new_id, notifications, open_store, runs, work
from service.store.jobs import PodJob
from tests.peers.memory_mlrun import MemoryMlrun
from tests.unit.runs_in_mlrun.conftest import a_job
from tests.unit.store.rows import delivery, notification, run

pytestmark = pytest.mark.postgres

LONG_AGO_S = limits.UPGRADE_S + 1


@pytest.fixture
def rooms(postgres_settings: Settings) -> Iterator[Rooms]:
    """Of a replica that knows no handler, no repository, no hook and no launcher."""
    store = open_store(postgres_settings)
    intake = Intake(postgres_settings, store, Spool(postgres_settings.data_dir / "spool"))
    nothing: Any = None
    yield Rooms(postgres_settings, store, nothing, {}, Notifier(postgres_settings, store), intake)
    intake.close()
    store.close()


def held(rooms: Rooms, kind: str, key: str, *, attempts: int = 0) -> Held:
    store = rooms.store
    store.write(lambda conn: work.want(conn, kind, key, now=store.now()))
    for _ in range(attempts):
        claim = held(rooms, kind, key).claim
        store.write(lambda conn, claim=claim: work.again(conn, claim, at=store.now(), error="x"))  # type: ignore[misc]  # mypy: lambda default
    claimed = store.write(lambda conn: work.claim(conn, [kind], owner="me", now=store.now(), lease_s=60, keys=[key]))
    assert claimed is not None
    return Held(store, Found(claimed))


def is_put_back(rooms: Rooms, at: float | None) -> bool:
    return at is not None and 0 < at - rooms.store.now() <= limits.ELSEWHERE_S


@pytest.mark.parametrize(("age_s", "state"), [(1.0, NotificationState.PENDING), (LONG_AGO_S, NotificationState.FAILED)])
def test_a_message_for_a_handler(rooms: Rooms, age_s: float, state: NotificationState) -> None:
    row = notification(handler="new", created_at=rooms.store.now() - age_s)
    rooms.store.write(lambda conn: notifications.add(conn, row))
    at = rounds.notify(rooms, held(rooms, "notify", "new"))
    assert is_put_back(rooms, at) == (state == NotificationState.PENDING)
    with rooms.store.read() as conn:
        assert notifications.get(conn, row.id).state == state


@pytest.mark.parametrize(("age_s", "outcome"), [(1.0, None), (LONG_AGO_S, Outcome.IGNORED)])
def test_a_delivery_of_a_repository(rooms: Rooms, age_s: float, outcome: Outcome | None) -> None:
    row = delivery(repository="new", received_at=rooms.store.now() - age_s)
    rooms.store.write(lambda conn: deliveries.add(conn, row))
    at = fetch.step(rooms, held(rooms, "fetch", "new"))
    assert is_put_back(rooms, at) == (outcome is None)
    with rooms.store.read() as conn:
        assert deliveries.get(conn, row.id).outcome == outcome


@pytest.mark.parametrize(
    ("age_s", "state"), [(1.0, DeliveryState.ACCEPTED), (LONG_AGO_S, DeliveryState.REJECTED)], ids=["young", "old"]
)
def test_a_large_body_of_a_hook(rooms: Rooms, age_s: float, state: DeliveryState) -> None:
    row = delivery(hook="new", repository=None, parsed=False, received_at=rooms.store.now() - age_s)
    rooms.store.write(lambda conn: deliveries.add(conn, row))
    at = rounds.parse(rooms, held(rooms, "parse", row.id))
    assert is_put_back(rooms, at) == (state == DeliveryState.ACCEPTED)
    with rooms.store.read() as conn:
        assert deliveries.get(conn, row.id).state == state


def test_the_poll_of_a_repository(rooms: Rooms) -> None:
    with pytest.raises(GitopsError, match="another replica"):
        rounds.poll(rooms, held(rooms, "poll", "new"))
    assert rounds.poll(rooms, held(rooms, "poll", "old", attempts=limits.ELSEWHERE_ATTEMPTS)) is None


def test_the_watch_of_a_launcher_while_it_has_runs(rooms: Rooms) -> None:
    rooms.store.write(lambda conn: runs.add(conn, run(launcher="new", state=RunState.RUNNING)))
    assert watch.step(rooms, held(rooms, "watch", "old")) is None
    with pytest.raises(GitopsError, match="another replica"):
        watch.step(rooms, held(rooms, "watch", "new"))


def test_a_replica_that_starts_leaves_the_runs_of_a_launcher_that_it_does_not_know(rooms: Rooms) -> None:
    known, job = run(launcher="new", state=RunState.RUNNING), pod_job(launcher="new")
    rooms.store.write(lambda conn: runs.add(conn, known))
    rooms.store.write(lambda conn: jobs.add(conn, job))
    rooms.store.write(Reconciler(rooms)._pick_up)
    with rooms.store.read() as conn:
        assert runs.get(conn, known.id).state is RunState.RUNNING
        assert jobs.get(conn, job.id).cancel is None
        assert work.is_open(conn, "watch", "new")


def test_that_is_so_for_as_long_as_an_upgrade_may_take(rooms: Rooms) -> None:
    known = run(launcher="new", state=RunState.RUNNING)
    rooms.store.write(lambda conn: runs.add(conn, known))
    last = limits.ELSEWHERE_ATTEMPTS
    assert sum(work.backoff(attempt) for attempt in range(1, last + 1)) >= limits.UPGRADE_S
    with pytest.raises(GitopsError, match="another replica"):
        watch.step(rooms, held(rooms, "watch", "new", attempts=last - 1))
    with rooms.store.read() as conn:
        assert runs.get(conn, known.id).state is RunState.RUNNING


def test_what_was_put_back_so_often_is_given_up(rooms: Rooms) -> None:
    known, job = run(launcher="new", state=RunState.RUNNING), pod_job(launcher="new")
    rooms.store.write(lambda conn: runs.add(conn, known))
    rooms.store.write(lambda conn: jobs.add(conn, job))
    assert watch.step(rooms, held(rooms, "watch", "new", attempts=limits.ELSEWHERE_ATTEMPTS)) is None
    with rooms.store.read() as conn:
        ended = runs.get(conn, known.id)
        assert jobs.get(conn, job.id).cancel is EndReason.CANCELLED
    assert ended.state is RunState.LOST
    assert "not in use any more" in ended.reason


def test_whoever_has_the_launcher_ends_the_row_of_those_who_have_not(rooms: Rooms) -> None:
    """Else a crash of the one replica that has it, hours later, would end all its runs at once."""
    mlrun, known = MemoryMlrun(), run(launcher="mlrun", state=RunState.RUNNING)
    knows = MlrunLauncher(rooms.store, cast(MlrunApi, mlrun))
    rooms.store.write(lambda conn: runs.add(conn, known))
    knows.ensure(a_job(id=known.id))
    [uid] = mlrun.runs_
    mlrun.becomes(uid, "running")
    taken = held(rooms, "watch", "mlrun", attempts=limits.ELSEWHERE_ATTEMPTS)
    having = replace(rooms, launchers={"mlrun": knows})
    said: list[float | None] = []
    watching = threading.Thread(target=lambda: said.append(watch.step(having, taken)))
    watching.start()
    try:
        watching.join(10.0)
        assert said, "it is put down, as a pass that went well"
        assert said[0] is not None
    finally:
        rooms.stopping.set()
        watching.join()
        knows.close()


def pod_job(**also: Any) -> PodJob:
    return PodJob(id=new_id(), kind=JobKind.LOAD, repository="fraud", commit="a" * 40, created_at=1.0, **also)


@pytest.mark.parametrize(
    "recorded",
    [
        {"launcher": "new"},
        {"launcher": "new", "state": RunState.STARTING},
        {"mlrun_version": "1.99.0"},
    ],
    ids=["launcher", "launcher that was told", "MLRun"],
)
def test_a_run(rooms: Rooms, recorded: dict[str, Any]) -> None:
    row = run(**recorded, created_at=rooms.store.now())
    rooms.store.write(lambda conn: runs.add(conn, row))
    at = launch.step(rooms, held(rooms, "launch", row.id))
    assert at is not None and at > rooms.store.now()
    with rooms.store.read() as conn:
        assert runs.get(conn, row.id) == row
