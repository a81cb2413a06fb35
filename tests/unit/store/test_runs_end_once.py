from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from service.domain.states import ACTIVE_RUNS, ENDED_RUNS, OPEN_RUNS, RunState
from service.errors import NotFound
from service.launchers import EndReason
from service.store import Store, new_id, runs, syncs
from tests.unit.store.rows import NOW, run, sync


def add(store: Store, **also: Any) -> runs.Run:
    mine, is_new = store.write(lambda conn: runs.add(conn, run(**also)))
    assert is_new
    return mine


def move(store: Store, mine: runs.Run, state: RunState, expected: Any = OPEN_RUNS, **also: Any) -> runs.Run | None:
    return store.write(lambda conn: runs.transition(conn, mine.id, state, expected=expected, now=NOW, **also))


def test_a_run_comes_back_as_it_went_in(store: Store) -> None:
    mine = add(store, arguments={"rows": 5}, results={"auc": 0.9}, error={"type": "x"}, cancel=EndReason.TIMED_OUT)
    with store.read() as conn:
        assert runs.get(conn, mine.id) == mine
        with pytest.raises(NotFound):
            runs.get(conn, "none")


def test_the_same_run_asked_for_twice_is_one_run(store: Store) -> None:
    parent = sync()
    store.write(lambda conn: syncs.add(conn, parent))
    for why in ({"sync": parent.id}, {"schedule": "s", "due": NOW}, {"request": "key"}):
        first = add(store, **why)
        again = store.write(lambda conn, why=why: runs.add(conn, run(**why)))  # type: ignore[misc]  # mypy: lambda default
        assert again == (first, False)


def test_the_same_request_of_two_projects_is_two_runs(store: Store) -> None:
    add(store, request="key")
    add(store, request="key", project="other")
    add(store, schedule="s")
    add(store)
    add(store)


def test_a_run_is_declared_by_its_sync_unless_another_is_named(store: Store) -> None:
    parent = sync()
    store.write(lambda conn: syncs.add(conn, parent))
    assert add(store, sync=parent.id).declared_by == parent.id
    assert add(store, schedule="s", due=NOW, declared_by="other").declared_by == "other"


def test_a_run_goes_through_its_states_with_its_times(store: Store) -> None:
    mine = add(store)
    starting = store.write(lambda conn: runs.start(conn, mine.id))
    assert starting is not None
    assert (starting.state, starting.started_at) == (RunState.STARTING, None)
    running = move(store, mine, RunState.RUNNING, ACTIVE_RUNS)
    assert running is not None
    assert running.started_at == NOW
    ended = store.write(
        lambda conn: runs.end(conn, mine.id, RunState.SUCCEEDED, now=NOW + 9, results={"auc": 1}, reason="done")
    )
    assert ended is not None
    assert (ended.state, ended.ended_at, ended.results, ended.reason) == (
        RunState.SUCCEEDED,
        NOW + 9,
        {"auc": 1},
        "done",
    )


@pytest.mark.parametrize("end", sorted(ENDED_RUNS))
def test_the_first_end_counts(store: Store, end: RunState) -> None:
    mine = add(store)
    assert store.write(lambda conn: runs.end(conn, mine.id, end, now=NOW)) is not None
    for other in sorted(ENDED_RUNS):
        assert store.write(lambda conn, other=other: runs.end(conn, mine.id, other, now=NOW)) is None  # type: ignore[misc]  # mypy: lambda default
    assert move(store, mine, RunState.RUNNING) is None
    with store.read() as conn:
        assert runs.get(conn, mine.id).state == end


def test_an_ended_state_is_never_expected_and_an_open_one_is_no_end(store: Store) -> None:
    mine = add(store)
    with pytest.raises(ValueError, match="no next state"):
        move(store, mine, RunState.RUNNING, [RunState.LOST])
    with pytest.raises(ValueError, match="no end"):
        store.write(lambda conn: runs.end(conn, mine.id, RunState.RUNNING, now=NOW))


def test_of_several_who_change_a_run_at_once_one_wins(store: Store) -> None:
    mine = add(store)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda _n: store.write(lambda conn: runs.start(conn, mine.id)), range(8)))
    assert sum(answer is not None for answer in won) == 1


def test_runs_are_counted_by_launcher_and_found_by_workflow(store: Store) -> None:
    one, two = add(store), add(store)
    add(store, launcher="kubernetes")
    three = add(store, workflow="other")
    for started in (one, three):
        store.write(lambda conn, started=started: runs.start(conn, started.id))  # type: ignore[misc]  # mypy: lambda default
    with store.read() as conn:
        assert runs.count_active(conn, "process") == 2
        assert [r.id for r in runs.active(conn, "process")] == [one.id, three.id]
        assert [r.id for r in runs.queued(conn, "process")] == [two.id]
        assert [r.id for r in runs.open_of(conn, "fraud", "other")] == [three.id]
        assert len(runs.open_of(conn, "fraud")) == 4


def test_the_first_wish_to_end_a_run_stays_and_an_ended_run_hears_none(store: Store) -> None:
    mine = add(store)
    for reason in (EndReason.TIMED_OUT, EndReason.CANCELLED):
        asked = store.write(lambda conn, reason=reason: runs.request_cancel(conn, mine.id, reason))  # type: ignore[misc]  # mypy: lambda default
        assert asked is not None
        assert asked.cancel == EndReason.TIMED_OUT
    move(store, mine, RunState.CANCELLED)
    assert store.write(lambda conn: runs.request_cancel(conn, mine.id)) is None
    assert store.write(lambda conn: runs.request_cancel(conn, "none")) is None


EVENTS = [
    {"event": "claimed", "at": "2024-05-01T12:00:00Z", "pid": 7},
    {"event": "step.finished", "at": "2024-05-01T12:00:01.500000Z", "step": "train", "state": "succeeded"},
]


def observe(store: Store, mine: runs.Run, events: Any, since: int, position: int) -> list[runs.RunEvent]:
    return store.write(lambda conn: runs.add_events(conn, mine.id, events, since=since, position=position, now=NOW))


def test_events_are_stored_once_in_their_order_and_the_position_advances(store: Store) -> None:
    mine = add(store)
    assert len(observe(store, mine, EVENTS, 0, 200)) == 2
    assert observe(store, mine, EVENTS, 0, 200) == [], "the same observation after a crash"
    assert len(observe(store, mine, [{"event": "finished", "at": "2024-05-01T12:00:02Z"}], 200, 260)) == 1
    with store.read() as conn:
        found = runs.events(conn, mine.id)
        assert runs.get(conn, mine.id).position == 260
        assert runs.events(conn, mine.id, after=found[1].position) == found[2:]
        assert runs.events(conn, mine.id, limit=1) == found[:1]
    assert [event.event for event in found] == ["claimed", "step.finished", "finished"]
    assert found[0].data == {"pid": 7}
    assert found[1].at - found[0].at == 1.5


def test_bytes_without_a_whole_event_only_advance_the_position(store: Store) -> None:
    mine = add(store)
    assert observe(store, mine, [], 0, 40) == []
    with store.read() as conn:
        assert runs.get(conn, mine.id).position == 40


def test_events_that_cannot_be_from_so_few_bytes_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="cannot come from"):
        observe(store, add(store), EVENTS, 10, 11)


@pytest.mark.parametrize("at", [None, 5, "yesterday", "9999-99-99T00:00:00Z", {"x": 1}, "0001-01-01T00:00:00+14:00"])
def test_an_event_with_a_time_that_is_none_gets_the_time_of_reading(store: Store, at: object) -> None:
    mine = add(store)
    made = observe(store, mine, [{"event": "x" * 100, "at": at, "text": "\x00\ud7ff"}], 0, 50)
    assert len(made) == 1
    with store.read() as conn:
        found = runs.events(conn, mine.id)[0]
    assert len(found.event) == 32
    assert found.data == {"text": "\x00\ud7ff"}
    assert found.at in (NOW, 5.0) or found.at < 0


def test_a_run_of_an_unknown_sync_is_refused_not_taken_for_a_known_one(store: Store) -> None:
    with pytest.raises(IntegrityError):
        add(store, sync=new_id())
