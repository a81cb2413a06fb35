from __future__ import annotations

from typing import Any

import pytest

from service.domain.projects import Resolved, Workflow
from service.errors import NameTaken, NotFound
from service.store import Store, projects, revisions, syncs
from tests.unit.store.rows import MAIN, NOW, sync


def own(store: Store, name: str = "fraud", **also: Any) -> projects.Project:
    plain: dict[str, Any] = {"repository": "fraud", "path": ".", "ref": MAIN, "now": NOW} | also
    return store.write(lambda conn: projects.claim_name(conn, name, **plain))


def test_the_first_to_claim_a_name_owns_it_and_may_claim_it_again(store: Store) -> None:
    mine = own(store)
    assert own(store, now=NOW + 5) == mine
    with store.read() as conn:
        assert projects.get(conn, "fraud") == projects.by_binding(conn, "fraud", ".", MAIN) == mine
        assert projects.for_ref(conn, "fraud", MAIN) == projects.for_repository(conn, "fraud") == [mine]


@pytest.mark.parametrize("other", [{"repository": "else"}, {"path": "sub"}, {"ref": "refs/heads/dev"}])
def test_a_name_that_is_owned_is_refused_to_others_with_the_owners_name(store: Store, other: dict[str, str]) -> None:
    own(store)
    with pytest.raises(NameTaken, match=r"belongs to fraud, path '\.', refs/heads/main") as refusal:
        own(store, **other)
    assert "{ref}" in refusal.value.mend


def test_one_place_is_one_project(store: Store) -> None:
    own(store)
    with pytest.raises(NameTaken, match="is the project 'fraud' already"):
        own(store, "other")


def test_a_released_name_is_free_and_its_syncs_go_on_counting(store: Store) -> None:
    own(store)
    seq = store.write(lambda conn: projects.next_seq(conn, "fraud"))
    store.write(lambda conn: syncs.add(conn, sync(seq=seq)))
    store.write(lambda conn: projects.release(conn, "fraud"))
    again = own(store, repository="else")
    assert again.synced_commit is None
    assert store.write(lambda conn: projects.next_seq(conn, "fraud")) == seq + 1


def test_what_is_in_force_is_remembered_and_ends_an_error(store: Store) -> None:
    own(store)
    store.write(lambda conn: projects.record_error(conn, "fraud", "broken"))
    store.write(lambda conn: projects.put_in_force(conn, "fraud", revision="r1", sync="s1", commit="c1"))
    store.write(lambda conn: projects.suspend(conn, "fraud", suspended=True))
    with store.read() as conn:
        now = projects.get(conn, "fraud")
    assert (now.in_force, now.in_force_sync, now.synced_commit, now.error, now.suspended) == (
        "r1",
        "s1",
        "c1",
        None,
        True,
    )

    store.write(lambda conn: projects.put_in_force(conn, "fraud", revision="r0", sync=None))
    store.write(lambda conn: projects.pin(conn, "fraud", "r0"))
    with store.read() as conn:
        now = projects.get(conn, "fraud")
    assert (now.in_force, now.synced_commit, now.pinned) == ("r0", "c1", "r0")


def test_a_project_that_is_not_there_is_not_found(store: Store) -> None:
    with store.read() as conn:
        assert projects.find(conn, "none") is None
        with pytest.raises(NotFound, match="no project 'none'"):
            projects.get(conn, "none")
    for change in (
        lambda conn: projects.next_seq(conn, "none"),
        lambda conn: projects.suspend(conn, "none", suspended=True),
    ):
        with pytest.raises(NotFound):
            store.write(change)


def test_a_revision_comes_back_as_it_went_in_and_the_first_of_its_id_stays(store: Store) -> None:
    resolved = Resolved(
        name="fraud",
        project={"spec": {"params": {"rows": 5, "ü": [1, 2.5, None]}}},
        functions={"train": {"kind": "job"}},
        workflows={"main": Workflow(name="main", schedule="0 2 * * *", args={"rows": 1})},
        checks={"main": "compiled"},
        warnings=("careful",),
    )

    def put(commit: str) -> bool:
        return store.write(
            lambda conn: revisions.put(conn, project="fraud", revision="r1", commit=commit, resolved=resolved, now=NOW)
        )

    assert (put("c1"), put("c2")) == (True, False)
    with store.read() as conn:
        found = revisions.get(conn, "fraud", "r1")
        assert (found.resolved, found.commit) == (resolved, "c1")
        assert revisions.find(conn, "fraud", "r2") is None
        with pytest.raises(NotFound):
            revisions.get(conn, "fraud", "r2")
