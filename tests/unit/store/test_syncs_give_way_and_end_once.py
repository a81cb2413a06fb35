from __future__ import annotations

from typing import Any

import pytest

from service.domain.plan import Action, Cause, Plan, PlannedRun, PlannedSchedule, ScheduleSpec
from service.domain.projects import Concurrency, Declaration, RunRule, ScheduleRule
from service.domain.states import SyncState
from service.errors import LoadFailed, NotFound, TransitionRefused
from service.store import Store, syncs
from tests.unit.store.rows import MAIN, NOW, sync

PLAN = Plan(
    project="fraud",
    ref=MAIN,
    commit="a" * 40,
    cause=Cause.PUSH,
    revision="r1",
    save=True,
    puts_in_force=True,
    runs=(PlannedRun(workflow="main", reason="pushed", arguments={"rows": 5}, concurrency=Concurrency.QUEUE),),
    schedules=(
        PlannedSchedule(
            action=Action.CREATE,
            name="nightly",
            reason="new",
            after=ScheduleSpec(name="nightly", workflow="main", cron="0 2 * * *"),
        ),
    ),
)


def add(store: Store, **also: Any) -> syncs.Sync:
    mine = sync(**also)
    assert store.write(lambda conn: syncs.add(conn, mine))
    return mine


def move(store: Store, mine: syncs.Sync, state: SyncState, **also: Any) -> syncs.Sync:
    return store.write(lambda conn: syncs.transition(conn, mine.id, state, now=NOW, **also))


def test_a_sync_comes_back_as_it_went_in(store: Store) -> None:
    declaration = Declaration(
        refs=("main",),
        run=(RunRule(workflow="main"),),
        schedules={"nightly": ScheduleRule(workflow="main", cron="0 2 * * *")},
    )
    mine = add(store, declaration=declaration, plan=PLAN, error={"code": "x"}, timings={"load": 1.5})
    with store.read() as conn:
        assert syncs.get(conn, mine.id) == mine


def test_a_second_sync_of_one_number_is_not_added(store: Store) -> None:
    add(store, seq=7)
    assert store.write(lambda conn: syncs.add(conn, sync(seq=7))) is False


def test_a_sync_that_succeeds_has_its_plan_and_its_times(store: Store) -> None:
    mine = add(store)
    store.write(lambda conn: syncs.start(conn, mine.id, base="b" * 40, now=NOW + 1))
    store.write(lambda conn: syncs.record(conn, mine.id, subject="Train on more", author="Ada"))
    done = store.write(lambda conn: syncs.succeed(conn, mine.id, plan=PLAN, timings={"apply": 1.0}, now=NOW + 3))
    assert (done.state, done.base, done.plan, done.revision) == (SyncState.SUCCEEDED, "b" * 40, PLAN, "r1")
    assert (done.started_at, done.ended_at, done.subject, done.author) == (NOW + 1, NOW + 3, "Train on more", "Ada")


def test_a_sync_that_fails_says_what_happened_and_the_mend(store: Store) -> None:
    mine = add(store)
    error = LoadFailed("project_setup.py raised", mend="mend it", detail="Traceback ...")
    failed = store.write(lambda conn: syncs.fail(conn, mine.id, error=error, now=NOW))
    assert failed.error == {
        "code": "load-failed",
        "what": "project_setup.py raised",
        "mend": "mend it",
        "detail": "Traceback ...",
    }
    assert "project_setup.py raised" in failed.reason
    assert syncs.failure(ValueError("odd"))["what"] == "ValueError: odd"


@pytest.mark.parametrize("end", [SyncState.SUCCEEDED, SyncState.FAILED, SyncState.SUPERSEDED, SyncState.SKIPPED])
def test_an_ended_sync_stays_as_it_ended(store: Store, end: SyncState) -> None:
    mine = add(store)
    move(store, mine, SyncState.SYNCING)
    move(store, mine, end)
    for state in SyncState:
        with pytest.raises(TransitionRefused, match=f"is {end} and cannot become {state}"):
            move(store, mine, state)


def test_a_step_that_is_repeated_after_a_crash_is_allowed(store: Store) -> None:
    mine = add(store)
    first = move(store, mine, SyncState.SYNCING)
    second = store.write(lambda conn: syncs.transition(conn, mine.id, SyncState.SYNCING, now=NOW + 60))
    assert second.started_at == first.started_at


def test_a_queued_sync_cannot_have_succeeded(store: Store) -> None:
    with pytest.raises(TransitionRefused):
        move(store, add(store), SyncState.SUCCEEDED)


def test_a_held_sync_goes_on_when_it_is_let(store: Store) -> None:
    mine = add(store)
    assert move(store, mine, SyncState.HELD, reason="pinned").ended_at is None
    with store.read() as conn:
        assert syncs.open_of(conn, "fraud") == []
    move(store, mine, SyncState.QUEUED)
    with store.read() as conn:
        assert [s.id for s in syncs.open_of(conn, "fraud")] == [mine.id]


def test_older_syncs_give_way_to_the_newest(store: Store) -> None:
    one, two, three = (add(store, seq=n, commit=str(n) * 40) for n in (1, 2, 3))
    other = add(store, project="other")
    move(store, one, SyncState.SYNCING)
    with store.read() as conn:
        assert [s.id for s in syncs.open_of(conn, "fraud")] == [one.id, two.id, three.id]
    for older in (one, two):
        gone = store.write(lambda conn, older=older: syncs.supersede(conn, older.id, by=three.id, now=NOW))  # type: ignore[misc]  # mypy: lambda default
        assert (gone.state, gone.superseded_by, gone.ended_at) == (SyncState.SUPERSEDED, three.id, NOW)
    with store.read() as conn:
        assert syncs.get(conn, other.id).state == SyncState.QUEUED
    last = store.write(lambda conn: syncs.supersede_open(conn, "fraud", reason="ref deleted", now=NOW))
    assert [(s.id, s.reason) for s in last] == [(three.id, "ref deleted")]
    with store.read() as conn:
        assert syncs.open_of(conn, "fraud") == []


def test_syncs_are_found_by_their_commit(store: Store) -> None:
    one = add(store, seq=1, commit="c")
    add(store, seq=2, commit="d")
    tag = add(store, seq=3, commit="c", ref="refs/tags/v1")
    other = add(store, seq=1, commit="c", project="other")
    with store.read() as conn:
        assert [s.id for s in syncs.of_commit(conn, "fraud", MAIN, "c")] == [one.id]
        assert [s.id for s in syncs.for_commit(conn, "fraud", MAIN, "c")] == [one.id, other.id]
        newest, of_tag = syncs.newest(conn, "fraud"), syncs.newest(conn, "fraud", MAIN)
    assert newest is not None
    assert of_tag is not None
    assert (newest.id, of_tag.commit) == (tag.id, "d")


def test_a_sync_that_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound, match="no sync none"):
        store.write(lambda conn: syncs.transition(conn, "none", SyncState.SYNCING, now=NOW))
