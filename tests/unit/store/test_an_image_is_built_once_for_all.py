"""The row of a build is shared by all who want the image, on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from service import limits
from service.domain.image_build import ImageBuild
from service.domain.states import BuildState
from service.reconciler import own_image
from service.reconciler.rooms import Rooms
from service.store import Store, image_builds, work
from service.store.image_builds import Built
from service.store.runs import Run

BUILD = ImageBuild(project="fraud", base_image="docker.io/mlrun/mlrun-kfp:1.9.2", requirements=("iniconfig",))
API = "http://mlrun:8080"


def want(store: Store, *, since: float = 10.0, now: float = 10.0, api: str = API) -> Built:
    return store.write(lambda conn: image_builds.want(conn, BUILD, api, since=since, now=now))


def becomes(store: Store, **values: object) -> Built:
    with store.read() as conn:
        one = image_builds.find(conn, "fraud", BUILD.key)
    assert one is not None
    after = store.write(lambda conn: image_builds.record(conn, one, **values))
    assert after is not None
    return after


def asked(store: Store) -> int:
    with store.read() as conn:
        found = work.get(conn, image_builds.KIND, image_builds.work_key("fraud", BUILD.key))
    return found.wanted if found else 0


def test_many_who_want_it_at_once_have_it_built_once(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: want(store), range(16)))
    assert {one.state for one in found} == {BuildState.QUEUED}
    assert asked(store) == 1


def test_what_is_there_is_there_for_all_who_come(store: Store) -> None:
    want(store)
    becomes(store, state=BuildState.READY, image="reg.example.com/a:1", ended_at=20.0)
    assert want(store, since=30.0).image == "reg.example.com/a:1"
    assert asked(store) == 1
    with store.read() as conn:
        assert image_builds.built(conn, "fraud", API) == {BUILD.key}
        assert image_builds.built(conn, "fraud", "http://another") == frozenset()
        assert image_builds.built(conn, "other", API) == frozenset()


def test_what_failed_is_built_anew_for_who_came_after_it_alone(store: Store) -> None:
    want(store)
    becomes(store, state=BuildState.FAILED, detail="no such package", ended_at=20.0, log="x", tries=3, leftover=True)
    assert want(store, since=19.0).detail == "no such package"
    assert asked(store) == 1
    fresh = want(store, since=21.0, now=22.0)
    assert (fresh.state, fresh.detail, fresh.log, fresh.tries) == (BuildState.QUEUED, "", "", 0)
    assert fresh.leftover  # of the round before: it is taken away first
    assert asked(store) == 2
    assert want(store, since=23.0) == fresh


def test_another_mlrun_has_none_of_it(store: Store) -> None:
    want(store)
    becomes(store, state=BuildState.READY, image="reg.example.com/a:1", leftover=True)
    moved = want(store, api="http://another")
    assert (moved.state, moved.image, moved.leftover) == (BuildState.QUEUED, None, False)


@pytest.mark.parametrize("change", [{"state": BuildState.BUILDING}, {"queued_at": 5.0}])
def test_what_was_found_of_an_earlier_round_changes_nothing(store: Store, change: dict[str, object]) -> None:
    one = replace(want(store), **change)  # type: ignore[arg-type] # any of its fields
    assert store.write(lambda conn: image_builds.record(conn, one, detail="late")) is None


def test_a_replica_with_other_settings_leaves_it_to_the_others_for_a_while(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone there are no others. `API` has it built; the others know another MLRun, or none."""
    run = cast(Run, SimpleNamespace(project=BUILD.project, created_at=store.now()))
    want(store, now=store.now())

    def left(**rooms: Any) -> bool:
        known = cast(Rooms, SimpleNamespace(store=store, **rooms))
        with store.read() as conn:
            return own_image._others_build(known, conn, run, BUILD)

    mine, none = {"images": object(), "mlrun_address": API}, {"images": None, "mlrun_address": ""}
    other = {"images": object(), "mlrun_address": "http://other.example.com"}
    assert (left(**mine), left(**none), left(**other)) == (False, store.is_shared, store.is_shared)
    monkeypatch.setattr(limits, "UPGRADE_S", 0.0)
    assert (left(**mine), left(**none), left(**other)) == (False, False, False)
