from __future__ import annotations

from typing import Any

import pytest

from service import limits
from service.domain.plan import Cause, Plan
from service.domain.states import PreviewState
from service.errors import NotFound
from service.store import Store, new_id, previews, work
from service.store.previews import Preview
from tests.unit.store.rows import MAIN, NOW

PLAN = Plan(project="fraud", ref=MAIN, commit="a" * 40, cause=Cause.PUSH, revision="r1", save=True, puts_in_force=True)


def ask(store: Store, **also: Any) -> str:
    """A preview and its work, as the API makes them."""
    plain: dict[str, Any] = {"id": new_id(), "project": "fraud", "created_at": NOW}
    made = Preview(**plain | also)

    def change(conn: Any) -> None:
        previews.add(conn, made)
        work.want(conn, previews.KIND, made.id, now=NOW)

    store.write(change)
    return made.id


def make(store: Store, id_: str, **also: Any) -> None:
    """Plan it, as the dispatcher does."""

    def change(conn: Any) -> None:
        claim = work.claim(conn, [previews.KIND], owner="me", now=NOW, lease_s=60, keys=[id_])
        assert claim is not None
        previews.begin(conn, id_)
        previews.end(conn, id_, PreviewState.SUCCEEDED, now=NOW + 1, **also)
        work.finish(conn, claim)

    store.write(change)


def kept(store: Store) -> set[str]:
    """Of previews and of their work: no more of the one than of the other."""
    with store.read() as conn:
        rows = {one for one in IDS if previews.find(conn, one)}
        assert {one for one in IDS if work.get(conn, previews.KIND, one)} == rows
    return rows


IDS: list[str] = []


@pytest.fixture(autouse=True)
def ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PREVIEWS_KEPT", 3)
    IDS.clear()


def some(store: Store, count: int, **also: Any) -> list[str]:
    made = [ask(store, **also) for _ in range(count)]
    IDS.extend(made)
    return made


def test_a_plan_comes_back_as_it_was(store: Store) -> None:
    [id_] = some(store, 1, asked="main")
    make(store, id_, ref=MAIN, commit="a" * 40, plan=PLAN)
    with store.read() as conn:
        found = previews.get(conn, "fraud", id_)
        assert (found.state, found.plan, found.ended_at) == (PreviewState.SUCCEEDED, PLAN, NOW + 1)
        for project, other in (("churn", id_), ("fraud", "nothing")):
            with pytest.raises(NotFound):
                previews.get(conn, project, other)


def test_one_that_ended_is_neither_begun_nor_ended_again(store: Store) -> None:
    [id_] = some(store, 1)
    assert store.write(lambda conn: previews.begin(conn, id_)) is not None
    assert store.write(lambda conn: previews.begin(conn, id_)) is not None, "after a crash"
    store.write(lambda conn: previews.end(conn, id_, PreviewState.SKIPPED, now=NOW, reason="nothing moved"))
    assert store.write(lambda conn: previews.begin(conn, id_)) is None
    store.write(lambda conn: previews.end(conn, id_, PreviewState.FAILED, now=NOW + 9))
    with store.read() as conn:
        assert previews.get(conn, "fraud", id_).state == PreviewState.SKIPPED


def test_the_newest_of_a_project_stay_and_so_do_those_of_others(store: Store) -> None:
    mine, other = some(store, 5), some(store, 1, project="churn")
    for id_ in IDS:
        make(store, id_)
    store.write(lambda conn: previews.prune(conn, "fraud", now=NOW))
    assert kept(store) == {*mine[-3:], *other}


def test_those_of_last_week_go_whosoever_they_are(store: Store) -> None:
    some(store, 2, project="churn")
    for id_ in IDS:
        make(store, id_)
    store.write(lambda conn: previews.prune(conn, "fraud", now=NOW + limits.PREVIEWS_KEPT_S))
    assert len(kept(store)) == 2
    store.write(lambda conn: previews.prune(conn, "fraud", now=NOW + limits.PREVIEWS_KEPT_S + 1))
    assert kept(store) == set()


def test_what_is_not_planned_yet_is_never_forgotten(store: Store) -> None:
    waiting = some(store, 5)
    store.write(lambda conn: previews.prune(conn, "fraud", now=NOW + 2 * limits.PREVIEWS_KEPT_S))
    assert kept(store) == set(waiting)
    with store.read() as conn:
        assert [one.id for one in previews.open_of(conn, "fraud")] == waiting
