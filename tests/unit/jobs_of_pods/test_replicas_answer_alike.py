"""Two replicas are two `Callbacks` over one store; on SQLite there is one process, and its threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from service.errors import Conflict, GitopsError, Gone, Unauthorized
from service.launchers import EndReason, JobKind
from service.launchers.callbacks import Callbacks
from service.store import Store, jobs
from service.store.jobs import PodJob
from tests.peers.pod import token_of_pod

EVENT = b'{"event": "a", "at": "x"}'


@pytest.fixture
def replicas(store: Store) -> tuple[Callbacks, Callbacks]:
    row = PodJob(
        id="one",
        launcher="k",
        kind=JobKind.LOAD,
        repository="ml",
        commit="a" * 40,
        document={"job": {}},
        created_at=1.0,
    )
    assert store.write(lambda conn: jobs.add(conn, row))
    return Callbacks(store), Callbacks(store)


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """What each of them answered or raised."""
    began, said = threading.Barrier(len(actions)), [None] * len(actions)

    def act(n: int) -> None:
        began.wait()
        try:
            said[n] = actions[n]()
        except GitopsError as error:
            said[n] = type(error)  # type: ignore[call-overload]

    threads = [threading.Thread(target=act, args=(n,)) for n in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


def test_a_token_is_right_everywhere(replicas: tuple[Callbacks, Callbacks], store: Store) -> None:
    for replica in replicas:
        replica.authorize("one", token_of_pod(store, "one"))
        for job, token in (("one", ""), ("one", token_of_pod(store, "two")), ("two", token_of_pod(store, "two"))):
            with pytest.raises(Unauthorized):
                replica.authorize(job, token)


def test_of_many_claimers_one_has_the_job(replicas: tuple[Callbacks, Callbacks]) -> None:
    said = at_once(*(lambda n=n: replicas[n % 2].claim("one", f"claimer-{n}", {}) for n in range(8)))
    assert sorted(map(str, said)) == sorted(["1", *[str(Conflict)] * 7])


def test_a_message_that_comes_twice_at_once_is_there_once(replicas: tuple[Callbacks, Callbacks], store: Store) -> None:
    replicas[0].claim("one", "me", {})
    said = at_once(*(lambda n=n: replicas[n % 2].events("one", "me", 1, [EVENT] * 3) for n in range(8)))
    assert said == [4] * 8
    with store.read() as conn:
        assert len(jobs.lines(conn, "one", 0, 100)) == 4


def test_a_claim_and_a_cancel_at_once_leave_no_doubt(replicas: tuple[Callbacks, Callbacks], store: Store) -> None:
    cancel = lambda: store.write(lambda conn: jobs.cancel(conn, "one", EndReason.CANCELLED))  # noqa: E731
    said, _ = at_once(lambda: replicas[0].claim("one", "me", {}), cancel)
    with store.read() as conn:
        job = jobs.get(conn, "one")
    assert job.cancel is EndReason.CANCELLED
    assert said in (1, Gone)
    with pytest.raises((Gone, Conflict)):
        replicas[1].claim("one", "me", {})
