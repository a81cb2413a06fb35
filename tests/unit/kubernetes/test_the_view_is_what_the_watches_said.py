"""The view: what is put, removed and listed, in whatever order it comes."""

from __future__ import annotations

from typing import Any

from service.launchers.kubernetes.view import JOBS, PODS, View


def thing(uid: str, version: int, job: str = "one", **metadata: Any) -> dict[str, Any]:
    labels = {"mlrun-gitops.io/job": job}
    return {"metadata": {"uid": uid, "name": uid, "resourceVersion": str(version), "labels": labels, **metadata}}


def whole() -> View:
    view = View()
    view.replace(JOBS, [], "1")
    view.replace(PODS, [], "1")
    return view


def test_before_both_kinds_were_listed_nothing_is_known_to_be_missing():
    view = View()
    assert not view.of("one").whole
    view.replace(JOBS, [], "1")
    assert not view.of("one").whole
    view.replace(PODS, [], "1")
    assert view.of("one").whole


def test_while_a_watch_has_lost_its_way_neither():
    view = whole()
    assert view.lost(PODS, "away")
    assert not view.lost(PODS, "away still"), "it is said once"
    assert (view.of("one").whole, view.trouble()) == (False, "away still")
    view.replace(PODS, [], "2")
    assert (view.of("one").whole, view.trouble()) == (True, "")


def test_an_older_state_does_not_replace_a_newer_one():
    view = whole()
    view.put(PODS, thing("a", 5, phase="new"))
    view.put(PODS, thing("a", 4, phase="old"))
    assert view.of("one").pods[0]["metadata"]["phase"] == "new"


def test_what_was_made_after_a_list_is_kept_when_the_list_comes():
    view = whole()
    view.put(JOBS, thing("made", 9))
    view.replace(JOBS, [], "8")
    assert view.of("one").job is not None
    view.replace(JOBS, [], "10")
    assert view.of("one").job is None


def test_what_was_removed_does_not_come_back_by_an_answer_that_is_late():
    view = whole()
    for kind in (JOBS, PODS):
        view.put(kind, thing(kind, 2))
        view.remove(kind, thing(kind, 4))
        view.put(kind, thing(kind, 3))
    assert (view.of("one").job, view.of("one").pods) == (None, ())


def test_of_a_cluster_that_was_restored_from_a_backup_only_the_list_is_true():
    view = whole()
    view.replace(PODS, [thing("kept", 90, phase="then"), thing("lost", 95)], "100")
    view.replace(PODS, [thing("kept", 40, phase="now")], "50")
    view.put(PODS, thing("kept", 51, phase="later"))
    seen = view.of("one")
    assert [(pod["metadata"]["uid"], pod["metadata"]["phase"]) for pod in seen.pods] == [("kept", "later")]
    assert [pod["metadata"]["uid"] for pod in seen.gone] == ["lost"]


def test_a_removed_pod_is_remembered_as_it_was_last_seen():
    view = whole()
    view.put(PODS, thing("a", 2))
    view.remove(PODS, thing("a", 3, phase="last"))
    seen = view.of("one")
    assert (seen.pods, seen.gone[0]["metadata"]["phase"]) == ((), "last")
    view.forget("one")
    assert view.of("one").gone == ()


def test_a_pod_that_a_list_does_not_have_any_more_was_removed():
    view = whole()
    view.put(PODS, thing("a", 2))
    view.replace(PODS, [], "3")
    assert [pod["metadata"]["uid"] for pod in view.of("one").gone] == ["a"]


def test_the_newest_of_a_job_is_the_last():
    view = whole()
    view.put(PODS, thing("b", 2, creationTimestamp="2026-01-01T00:00:02Z"))
    view.put(PODS, thing("a", 3, creationTimestamp="2026-01-01T00:00:01Z"))
    assert [pod["metadata"]["uid"] for pod in view.of("one").pods] == ["a", "b"]


def test_whose_a_change_was_is_told_once():
    view = whole()
    view.changes(0)
    view.put(PODS, thing("a", 2, job="one"))
    view.put(JOBS, thing("j", 3, job="two"))
    assert view.changes(0) == {"one", "two"}
    assert view.changes(0) == set()


def test_since_when_a_pod_is_on_its_way_out():
    view = whole()
    view.put(PODS, thing("a", 2))
    assert not view.of("one").ending_s
    view.put(PODS, thing("a", 3, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert view.of("one").ending_s["a"] >= 0


def test_after_a_time_without_the_cluster_pods_have_their_time_to_end_again(monkeypatch):
    now = 100.0
    monkeypatch.setattr("service.launchers.kubernetes.view.time.monotonic", lambda: now)
    view = whole()
    leaving = thing("a", 3, deletionTimestamp="2026-01-01T00:00:00Z")
    view.put(PODS, leaving)
    now = 200.0
    assert view.of("one").ending_s == {"a": 100.0}
    view.lost(PODS, "away")
    view.replace(PODS, [leaving], "9")
    assert view.of("one").ending_s == {"a": 0.0}
