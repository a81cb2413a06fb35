from __future__ import annotations

from typing import Any

import pytest

from service.errors import Conflict, NotFound
from service.launchers import EndReason, JobKind
from service.store import Store, jobs, keys
from service.store.jobs import PodJob
from tests.unit.store.rows import NOW

CLAIMED = '{"event":"claimed"}'


def add(store: Store, id_: str = "one", **also: Any) -> str:
    plain: dict[str, Any] = {
        "id": id_,
        "launcher": "kubernetes",
        "kind": JobKind.RUN,
        "repository": "ml",
        "commit": "a" * 40,
        "document": {"kind": "run"},
        "created_at": NOW,
    }
    assert store.write(lambda conn: jobs.add(conn, PodJob(**plain | also)))
    return id_


def claim(store: Store, id_: str, claimer: str) -> bool:
    return store.write(lambda conn: jobs.claim(conn, id_, claimer, CLAIMED, now=NOW))


def found(store: Store, id_: str) -> PodJob:
    with store.read() as conn:
        return jobs.get(conn, id_)


def append(store: Store, since: int, said: list[str]) -> int:
    return store.write(lambda conn: jobs.append(conn, "one", since, said))


def log(store: Store, start: int, data: bytes) -> int:
    return store.write(lambda conn: jobs.add_log(conn, "one", start, data))


def evict(store: Store, id_: str) -> None:
    store.write(lambda conn: jobs.end(conn, id_, EndReason.EVICTED, now=NOW))


def key(store: Store, name: str) -> bytes:
    return store.write(lambda conn: keys.key(conn, name))


def lines(store: Store, id_: str, since: int = 0, limit: int = 100) -> list[str]:
    with store.read() as conn:
        return jobs.lines(conn, id_, since, limit)


def test_a_job_is_added_once(store: Store) -> None:
    add(store)
    again = PodJob(id="one", launcher="kubernetes", kind=JobKind.LOAD, repository="x", commit="b" * 40, created_at=NOW)
    assert not store.write(lambda conn: jobs.add(conn, again))
    assert found(store, "one").document == {"kind": "run"}


def test_the_first_that_claims_a_job_has_it_and_may_ask_again(store: Store) -> None:
    add(store)
    assert [claim(store, "one", who) for who in ("a", "b", "a")] == [True, False, True]
    assert lines(store, "one") == [CLAIMED]
    assert found(store, "one").claimer == "a"


def test_nobody_claims_what_was_cancelled_or_ended_or_never_was(store: Store) -> None:
    add(store, "cancelled")
    add(store, "ended")
    store.write(lambda conn: jobs.cancel(conn, "cancelled", EndReason.SUPERSEDED))
    store.write(lambda conn: jobs.end(conn, "ended", EndReason.EXITED, now=NOW))
    assert not any(claim(store, id_, "a") for id_ in ("cancelled", "ended", "unknown"))


def test_lines_that_are_sent_twice_are_kept_once(store: Store) -> None:
    add(store)
    claim(store, "one", "a")
    said = [append(store, *sent) for sent in [(1, ["b", "c"]), (1, ["b", "c"]), (2, ["c", "d"]), (4, [])]]
    assert said == [3, 3, 4, 4]
    assert lines(store, "one") == [CLAIMED, "b", "c", "d"]
    assert lines(store, "one", since=1, limit=2) == ["b", "c"]


def test_a_gap_between_lines_is_refused(store: Store) -> None:
    add(store)
    with pytest.raises(Conflict, match="number 0"):
        store.write(lambda conn: jobs.append(conn, "one", 1, ["b"]))
    with pytest.raises(NotFound):
        store.write(lambda conn: jobs.append(conn, "two", 0, ["b"]))


def test_the_first_end_and_the_first_wish_to_end_count(store: Store) -> None:
    add(store)
    store.write(lambda conn: jobs.cancel(conn, "one", EndReason.TIMED_OUT))
    store.write(lambda conn: jobs.cancel(conn, "one", EndReason.CANCELLED))
    assert store.write(lambda conn: jobs.end(conn, "one", EndReason.EVICTED, now=NOW, detail="no room", exit_code=137))
    assert not store.write(lambda conn: jobs.end(conn, "one", EndReason.EXITED, now=NOW + 1))
    job = found(store, "one")
    assert (job.cancel, job.ended, job.detail, job.exit_code) == (
        EndReason.TIMED_OUT,
        EndReason.EVICTED,
        "no room",
        137,
    )


def test_an_end_of_what_nobody_runs_is_none_of_what_somebody_does(store: Store) -> None:
    for id_ in ("claimed", "unclaimed"):
        add(store, id_)
    claim(store, "claimed", "a")
    ends = [
        store.write(lambda conn, id_=id_: jobs.end(conn, id_, EndReason.DELETED, now=NOW, unclaimed=True))  # type: ignore[misc]
        for id_ in ("claimed", "unclaimed")
    ]
    assert ends == [False, True]


def test_only_what_nobody_claimed_begins_again(store: Store) -> None:
    for id_ in ("claimed", "unclaimed"):
        add(store, id_)
    claim(store, "claimed", "a")
    for id_ in ("claimed", "unclaimed"):
        evict(store, id_)
    store.write(lambda conn: jobs.clean(conn, "unclaimed"))
    assert not store.write(lambda conn: jobs.begin_again(conn, "claimed", {"kind": "load"}))
    assert store.write(lambda conn: jobs.begin_again(conn, "unclaimed", {"kind": "load"}))
    assert (found(store, "unclaimed").ended, found(store, "unclaimed").document) == (None, {"kind": "load"})
    with store.read() as conn:
        assert [job.id for job in jobs.not_ended(conn, "kubernetes")] == ["unclaimed"]
        assert set(jobs.those(conn, ["claimed", "unclaimed", "unknown"])) == {"claimed", "unclaimed"}


def test_a_log_is_read_from_any_byte_however_it_came(store: Store) -> None:
    add(store)
    pieces = [(0, b"abc"), (0, b"abc"), (2, b"cdef"), (9, b"gap"), (6, b"g")]
    assert [log(store, *piece) for piece in pieces] == [3, 3, 6, 6, 7]
    with store.read() as conn:
        for offset in range(9):
            assert jobs.read_log(conn, "one", offset, 3) == b"abcdefg"[offset : offset + 3]
        assert jobs.read_log(conn, "one", 0, 100) == b"abcdefg"


def test_how_a_job_stands_is_said_until_it_has_ended(store: Store) -> None:
    add(store)
    store.write(lambda conn: jobs.say(conn, {"one": "no node has room", "unknown": "x"}))
    assert found(store, "one").detail == "no node has room"
    store.write(lambda conn: jobs.end(conn, "one", EndReason.EXITED, now=NOW, exit_code=0))
    store.write(lambda conn: jobs.say(conn, {"one": "late"}))
    assert found(store, "one").detail == ""


def test_what_is_over_is_forgotten_but_for_its_end_and_log(store: Store) -> None:
    add(store)
    claim(store, "one", "a")
    store.write(lambda conn: jobs.keep_result(conn, "one", b"{}"))
    store.write(lambda conn: jobs.add_log(conn, "one", 0, b"abc"))
    store.write(lambda conn: jobs.clean(conn, "one"))  # it goes on, so nothing happens
    with store.read() as conn:
        assert jobs.result(conn, "one") == b"{}"
    store.write(lambda conn: jobs.end(conn, "one", EndReason.EXITED, now=NOW, exit_code=0))
    store.write(lambda conn: jobs.clean(conn, "one"))
    with store.read() as conn:
        assert jobs.result(conn, "one") is None
        assert jobs.read_log(conn, "one", 0, 9) == b"abc"
    assert lines(store, "one") == []
    assert (found(store, "one").document, found(store, "one").ended) == (None, EndReason.EXITED)


def test_a_key_is_made_once(store: Store) -> None:
    first, again, other = (key(store, name) for name in ("a", "a", "b"))
    assert len(first) == 32
    assert first == again != other


def test_only_what_nobody_claimed_is_given_up_and_then_nobody_claims_it(store: Store) -> None:
    for id_ in ("claimed", "unclaimed"):
        add(store, id_)
    claim(store, "claimed", "a")
    given_up = {
        id_: store.write(lambda conn, id_=id_: jobs.give_up(conn, id_, EndReason.NOT_STARTED))  # type: ignore[misc]
        for id_ in ("claimed", "unclaimed", "unknown")
    }
    assert given_up == {"claimed": False, "unclaimed": True, "unknown": False}
    assert not claim(store, "unclaimed", "b")
    assert found(store, "claimed").cancel is None


def test_how_many_events_jobs_have_and_which_ended_is_asked_of_many_at_once(store: Store) -> None:
    for id_ in ("silent", "claimed", "ended"):
        add(store, id_)
    claim(store, "claimed", "a")
    evict(store, "ended")
    with store.read() as conn:
        asked = {"silent": 0, "claimed": 0, "ended": 0, "unknown": 0}
        assert jobs.heads(conn, asked) == {"silent": (0, False), "claimed": (1, False), "ended": (0, True)}


def test_where_a_log_ends_in_the_pod_is_kept_with_its_bytes(store: Store) -> None:
    add(store)
    store.write(lambda conn: jobs.add_log(conn, "one", 0, b"abc", "pod 7 1"))
    assert found(store, "one").log_mark == "pod 7 1"
    store.write(lambda conn: jobs.add_log(conn, "one", 9, b"a gap", "pod 9 1"))
    assert found(store, "one").log_mark == "pod 7 1"


def test_what_was_cancelled_between_two_attempts_has_no_second(store: Store) -> None:
    add(store)
    evict(store, "one")
    store.write(lambda conn: jobs.cancel(conn, "one", EndReason.CANCELLED))
    assert not store.write(lambda conn: jobs.begin_again(conn, "one", {"kind": "run"}))
    assert found(store, "one").ended is EndReason.EVICTED


def test_old_loads_go_with_all_that_is_known_of_them_and_nothing_else_does(store: Store) -> None:
    kinds = {
        "old": JobKind.LOAD,
        "new": JobKind.LOAD,
        "open": JobKind.LOAD,
        "uncleaned": JobKind.LOAD,
        "run": JobKind.RUN,
    }
    ends = {"old": NOW, "new": NOW + 9, "uncleaned": NOW, "run": NOW}
    for id_, kind in kinds.items():
        add(store, id_, kind=kind)
        store.write(lambda conn, id_=id_: jobs.add_log(conn, id_, 0, b"abc"))  # type: ignore[misc]
    for id_, at in ends.items():
        store.write(lambda conn, id_=id_, at=at: jobs.end(conn, id_, EndReason.EXITED, now=at))  # type: ignore[misc]
        if id_ != "uncleaned":
            store.write(lambda conn, id_=id_: jobs.clean(conn, id_))  # type: ignore[misc]
    with store.read() as conn:
        assert jobs.old_loads(conn, "kubernetes", before=NOW + 1) == ["old"]
    for id_ in ("old", "open"):
        store.write(lambda conn, id_=id_: jobs.forget(conn, id_))  # type: ignore[misc]
    with store.read() as conn:
        assert set(jobs.those(conn, kinds)) == {*kinds} - {"old"}
        assert [id_ for id_ in kinds if not jobs.read_log(conn, id_, 0, 9)] == ["old"]


def test_a_load_that_was_forgotten_is_loaded_anew(store: Store) -> None:
    add(store, kind=JobKind.LOAD)
    claim(store, "one", "a")
    evict(store, "one")
    store.write(lambda conn: jobs.forget(conn, "one"))
    add(store, kind=JobKind.LOAD)
    assert claim(store, "one", "b")
    assert lines(store, "one") == [CLAIMED]
