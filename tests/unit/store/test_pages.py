"""Lists page by cursor: nothing twice, nothing left out, whatever is added meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine

from service import limits
from service.domain.projects import Resolved
from service.domain.states import DeliveryState, FireState, Outcome, RunState
from service.errors import Malformed
from service.store import Store, audit, deliveries, new_id, notifications, projects, revisions, runs, schedules, syncs
from tests.unit.store.rows import MAIN, NOW, delivery, notification, run, sync

Page = Callable[..., tuple[list[Any], str | None]]


def everything(
    store: Store, page: Page, *, limit: int, between: Callable[[], None] | None = None, **filters: Any
) -> list[Any]:
    rows: list[Any] = []
    cursor = None
    while True:
        with store.read() as conn:
            part, cursor = page(conn, limit=limit, cursor=cursor, **filters)
        assert len(part) <= limit
        rows += part
        if cursor is None:
            return rows
        if between:
            between()


def test_ids_sort_by_the_order_they_were_made_in_also_when_the_clock_is_set_back() -> None:
    with time_machine.travel(NOW + 3600, tick=False) as clock:
        first = [new_id() for _ in range(1000)]
        clock.move_to(NOW)
        second = [new_id() for _ in range(1000)]
    assert first + second == sorted({*first, *second})
    assert all(len(one) == 26 and one == one.lower() for one in first)


def test_ids_made_by_many_threads_are_all_different() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = [one for part in pool.map(lambda _n: [new_id() for _ in range(500)], range(8)) for one in part]
    assert len(set(made)) == 4000


def test_rows_that_come_while_somebody_pages_shift_nothing(store: Store) -> None:
    old = [delivery() for _ in range(25)]
    for row in old:
        store.write(lambda conn, row=row: deliveries.add(conn, row))  # type: ignore[misc]  # mypy: lambda default

    def another() -> None:
        store.write(lambda conn: deliveries.add(conn, delivery()))

    seen = everything(store, deliveries.page, limit=7, between=another)
    assert [row.id for row in seen] == [row.id for row in reversed(old)]


def test_a_page_that_is_exactly_full_has_no_next(store: Store) -> None:
    for _ in range(6):
        store.write(lambda conn: deliveries.add(conn, delivery()))
    with store.read() as conn:
        first, cursor = deliveries.page(conn, limit=3)
        second, end = deliveries.page(conn, limit=3, cursor=cursor)
    assert (len(first), len(second), end) == (3, 3, None)


def test_the_size_of_a_page_has_bounds(store: Store) -> None:
    def add(conn: Any) -> None:
        for _ in range(limits.PAGE_MAX + 2):
            deliveries.add(conn, delivery())

    store.write(add)
    with store.read() as conn:
        assert len(deliveries.page(conn, limit=10**9)[0]) == limits.PAGE_MAX
        assert len(deliveries.page(conn, limit=-5)[0]) == 1
        assert len(deliveries.page(conn)[0]) == limits.PAGE_DEFAULT


def test_pages_filter_by_what_they_name(store: Store) -> None:
    rows = [
        delivery(repository="a"),
        delivery(repository="b", ref="refs/heads/x"),
        delivery(repository="b", state=DeliveryState.IGNORED),
        delivery(repository="b", outcome=Outcome.SYNCED, hook="org"),
    ]
    for row in rows:
        store.write(lambda conn, row=row: deliveries.add(conn, row))  # type: ignore[misc]  # mypy: lambda default

    def ids(**filters: Any) -> list[str]:
        return [row.id for row in everything(store, deliveries.page, limit=1, **filters)]

    assert ids(repository="b") == [rows[3].id, rows[2].id, rows[1].id]
    assert ids(repository="b", ref="refs/heads/x") == [rows[1].id]
    assert ids(state=DeliveryState.IGNORED) == [rows[2].id]
    assert ids(outcome=Outcome.SYNCED) == ids(hook="org") == [rows[3].id]
    assert ids(repository="c") == []


def test_a_page_of_deliveries_leaves_the_bodies_where_they_are(store: Store) -> None:
    mine = delivery(body=b"x" * 1000, size=1000)
    store.write(lambda conn: deliveries.add(conn, mine))
    with store.read() as conn:
        assert deliveries.page(conn)[0][0].body is None
        assert deliveries.open_for(conn, "fraud")[0].body is None
        assert deliveries.get(conn, mine.id).body == mine.body


def test_every_list_pages(store: Store) -> None:
    def fill(conn: Any) -> None:
        for number in range(5):
            syncs.add(conn, sync(seq=number))
            runs.add(conn, run(request=str(number)))
            notifications.add(conn, notification(key=str(number)))
            audit.add(conn, audit.Entry(id=new_id(), at=NOW, actor="ada", action="retry", target=str(number)))
            projects.claim_name(conn, f"p{number}", repository="fraud", path=str(number), ref=MAIN, now=NOW)

    store.write(fill)
    for page in (syncs.page, runs.page, notifications.page, audit.page):
        ids = [row.id for row in everything(store, page, limit=2)]
        assert ids == sorted(ids, reverse=True)
        assert len(ids) == 5
    assert [p.name for p in everything(store, projects.page, limit=2)] == ["p0", "p1", "p2", "p3", "p4"]
    assert [r.request for r in everything(store, runs.page, limit=2, state=RunState.QUEUED)] == list("43210")


def test_revisions_page_by_their_time_also_where_times_are_equal(store: Store) -> None:
    times = {"c": NOW, "a": NOW, "b": NOW + 1, "d": NOW - 1}

    def fill(conn: Any) -> None:
        for revision, at in times.items():
            resolved = Resolved(name="fraud", project={})
            revisions.put(conn, project="fraud", revision=revision, commit="a" * 40, resolved=resolved, now=at)

    store.write(fill)
    found = everything(store, revisions.page, limit=1, project="fraud")
    assert [entry.id for entry in found] == ["b", "c", "a", "d"]


def test_fires_page_by_due_time_latest_first(store: Store) -> None:
    dues = [NOW + 60 * number + 0.1 for number in range(7)]
    for due in dues:
        fire = schedules.Fire(schedule="s", due=due, state=FireState.FIRED, at=NOW)
        store.write(lambda conn, fire=fire: schedules.add_fire(conn, fire))  # type: ignore[misc]  # mypy: lambda default

    def page(conn: Any, **also: Any) -> Any:
        return schedules.page_fires(conn, "s", **also)

    assert [fire.due for fire in everything(store, page, limit=2)] == dues[::-1]


def test_a_cursor_that_was_made_up_is_malformed(store: Store) -> None:
    with store.read() as conn:
        with pytest.raises(Malformed, match="cursor"):
            schedules.page_fires(conn, "s", cursor="drop table")
        with pytest.raises(Malformed, match="cursor"):
            revisions.page(conn, project="fraud", cursor="~~")
