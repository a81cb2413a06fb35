from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.domain.plan import ScheduleSpec
from service.domain.projects import CatchUp
from service.domain.states import FireState
from service.errors import NotFound
from service.store import Store, schedules
from tests.unit.store.rows import NOW

SPEC = ScheduleSpec(
    name="nightly",
    workflow="main",
    cron="0 2 * * *",
    timezone="Europe/Berlin",
    catch_up=CatchUp.NONE,
    arguments={"rows": 5},
)


def put(
    store: Store, spec: ScheduleSpec = SPEC, *, now: float = NOW, next_due: float = NOW + 100
) -> schedules.Schedule:
    return store.write(lambda conn: schedules.put(conn, "fraud", spec, next_due=next_due, now=now, sync="s1"))


def changed(**also: Any) -> ScheduleSpec:
    return replace(SPEC, **also)


def test_a_schedule_says_what_was_put(store: Store) -> None:
    mine = put(store)
    assert mine.spec == SPEC
    assert (mine.evaluated_until, mine.next_due, mine.sync) == (NOW, NOW + 100, "s1")
    with store.read() as conn:
        assert schedules.in_force(conn, "fraud") == schedules.all_active(conn) == [mine]
        assert schedules.get(conn, mine.id) == schedules.by_name(conn, "fraud", "nightly") == mine
        with pytest.raises(NotFound):
            schedules.get(conn, "none")


def test_a_changed_time_starts_anew_from_now(store: Store) -> None:
    mine = put(store)
    new = put(store, changed(cron="0 3 * * *"), now=NOW + 50, next_due=NOW + 500)
    assert new.id == mine.id
    assert (new.evaluated_until, new.next_due, new.created_at, new.changed_at) == (NOW + 50, NOW + 500, NOW, NOW + 50)


def test_changed_arguments_lose_no_fire_that_is_due(store: Store) -> None:
    put(store)
    new = put(store, changed(arguments={"rows": 6}), now=NOW + 150, next_due=NOW + 500)
    assert new.arguments == {"rows": 6}
    assert (new.evaluated_until, new.next_due) == (NOW, NOW + 100)
    with store.read() as conn:
        assert [s.id for s in schedules.due(conn, now=NOW + 150)] == [new.id]


def test_a_removed_schedule_fires_no_more_stays_as_history_and_comes_again_as_another(store: Store) -> None:
    mine = put(store)
    gone = store.write(lambda conn: schedules.remove_named(conn, "fraud", "nightly", now=NOW + 1))
    assert gone is not None
    assert (gone.id, gone.removed_at, gone.next_due) == (mine.id, NOW + 1, None)
    assert store.write(lambda conn: schedules.remove_named(conn, "fraud", "nightly", now=NOW + 2)) is None
    assert store.write(lambda conn: schedules.remove(conn, mine.id, now=NOW + 2)).removed_at == NOW + 1
    with store.read() as conn:
        assert schedules.in_force(conn, "fraud") == schedules.due(conn, now=NOW + 9999) == []
    again = put(store)
    assert again.id != mine.id
    with store.read() as conn:
        assert [s.id for s in schedules.page(conn, project="fraud")[0]] == [again.id]
        assert [s.id for s in schedules.page(conn, project="fraud", removed=True)[0]] == [again.id, mine.id]


def test_a_suspended_schedule_is_in_force_and_does_not_fire(store: Store) -> None:
    mine = put(store)
    store.write(lambda conn: schedules.suspend(conn, mine.id, suspended=True))
    with store.read() as conn:
        assert len(schedules.in_force(conn, "fraud")) == 1
        assert schedules.all_active(conn) == schedules.due(conn, now=NOW + 9999) == []


def test_a_schedule_advances_and_never_goes_back(store: Store) -> None:
    mine = put(store)
    for until, due in ((NOW + 200, NOW + 300), (NOW + 100, NOW + 150)):
        store.write(
            lambda conn, until=until, due=due: schedules.advance(conn, mine.id, evaluated_until=until, next_due=due)  # type: ignore[misc]  # mypy: lambda default
        )
    with store.read() as conn:
        now = schedules.get(conn, mine.id)
    assert (now.evaluated_until, now.next_due) == (NOW + 200, NOW + 300)


def test_one_that_is_ahead_of_the_clock_is_looked_at_and_turned_back(store: Store) -> None:
    mine = put(store, now=NOW + 7200, next_due=NOW + 7260)
    with store.read() as conn:
        assert [s.id for s in schedules.due(conn, now=NOW)] == [mine.id]
    store.write(lambda conn: schedules.turn_back(conn, mine.id, evaluated_until=NOW, next_due=NOW + 60))
    with store.read() as conn:
        assert schedules.due(conn, now=NOW) == []
        assert [s.id for s in schedules.due(conn, now=NOW + 60)] == [mine.id]


def test_those_due_longest_come_first(store: Store) -> None:
    late = put(store, changed(name="late"), next_due=NOW + 2)
    early = put(store, changed(name="early"), next_due=NOW + 1)
    put(store, changed(name="future"), next_due=NOW + 3)
    with store.read() as conn:
        assert [s.id for s in schedules.due(conn, now=NOW + 2)] == [early.id, late.id]


def test_a_due_time_fires_once(store: Store) -> None:
    def fire(due: float) -> bool:
        row = schedules.Fire(schedule="s", due=due, state=FireState.FIRED, at=NOW, run="r")
        return store.write(lambda conn: schedules.add_fire(conn, row))

    assert [fire(NOW), fire(NOW), fire(NOW + 60)] == [True, False, True]
    with store.read() as conn:
        found = schedules.get_fire(conn, "s", NOW)
        assert schedules.get_fire(conn, "s", NOW + 1) is None
    assert found is not None
    assert (found.run, found.state) == ("r", FireState.FIRED)


def test_a_missed_time_can_still_be_fired_and_a_fired_one_is_never_missed(store: Store) -> None:
    def add(state: FireState, run: str | None = None) -> bool:
        row = schedules.Fire(schedule="s", due=NOW, state=state, at=NOW, run=run, reason="" if run else "late")
        return store.write(lambda conn: schedules.add_fire(conn, row))

    assert [add(FireState.MISSED), add(FireState.MISSED)] == [True, False]
    assert [add(FireState.FIRED, "r"), add(FireState.FIRED, "q"), add(FireState.MISSED)] == [True, False, False]
    with store.read() as conn:
        found = schedules.get_fire(conn, "s", NOW)
    assert found is not None
    assert (found.state, found.run, found.reason) == (FireState.FIRED, "r", "")
