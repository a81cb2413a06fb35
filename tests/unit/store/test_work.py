"""The work table: nothing that is wanted is forgotten, nothing is done by two at once, and the slow learn that they lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service import limits
from service.errors import LeaseLost
from service.store import Store, work
from tests.unit.store.rows import NOW
from tests.unit.store.waiting import seek

LEASE_S = 60.0


def want(
    store: Store, key: str = "fraud", kind: str = "sync", *, now: float = NOW, not_before: float | None = None
) -> None:
    store.write(lambda conn: work.want(conn, kind, key, now=now, not_before=not_before))


def claim(store: Store, *kinds: str, now: float = NOW, owner: str = "me", **also: Any) -> work.Claim | None:
    return store.write(lambda conn: work.claim(conn, kinds or ("sync",), owner=owner, now=now, lease_s=LEASE_S, **also))


def claimed(store: Store, *kinds: str, now: float = NOW, owner: str = "me") -> work.Claim:
    got = claim(store, *kinds, now=now, owner=owner)
    assert got is not None
    return got


def finish(store: Store, mine: work.Claim) -> None:
    store.write(lambda conn: work.finish(conn, mine))


def again(store: Store, mine: work.Claim, at: float, error: str | None = None) -> None:
    store.write(lambda conn: work.again(conn, mine, at=at, error=error))


def next_due(store: Store, *kinds: str) -> float | None:
    with store.read() as conn:
        return work.next_due(conn, kinds or ("sync",))


def row(store: Store, key: str = "fraud", kind: str = "sync") -> work.Work:
    with store.read() as conn:
        found = work.get(conn, kind, key)
    assert found is not None
    return found


def test_what_is_wanted_is_claimed_once_and_done_when_finished(store: Store) -> None:
    want(store)
    mine = claimed(store)
    assert (mine.kind, mine.key, mine.generation, mine.attempts, mine.owner) == ("sync", "fraud", 1, 0, "me")
    assert claim(store) is None
    finish(store, mine)
    assert claim(store, now=NOW + 2 * LEASE_S) is None
    assert next_due(store) is None


def test_wanting_the_same_twice_before_anybody_took_it_is_one_piece_of_work(store: Store) -> None:
    want(store)
    want(store)
    finish(store, claimed(store))
    assert claim(store) is None


def test_what_is_wanted_while_it_is_being_done_is_done_once_more(store: Store) -> None:
    want(store)
    mine = claimed(store)
    want(store)
    want(store)
    assert claim(store) is None, "not while somebody is at it"
    finish(store, mine)
    second = claimed(store)
    assert second.generation == 3
    finish(store, second)
    assert claim(store) is None


def test_only_the_kinds_and_keys_asked_for_are_claimed(store: Store) -> None:
    want(store, "a", "sync")
    want(store, "b", "notify")
    assert claimed(store, "notify").key == "b"
    assert claim(store, "notify", "fetch") is None
    assert claim(store, "sync", keys=["c"]) is None
    found = claim(store, "sync", keys=["a", "c"])
    assert found is not None
    assert found.key == "a"


def test_the_longest_due_comes_first(store: Store) -> None:
    want(store, "late", now=NOW - 1)
    want(store, "early", now=NOW - 3)
    want(store, "middle", now=NOW - 2)
    assert [claimed(store).key for _ in range(3)] == ["early", "middle", "late"]


def test_work_wanted_for_later_waits_and_says_until_when(store: Store) -> None:
    want(store, not_before=NOW + 100)
    assert claim(store, now=NOW + 99) is None
    assert next_due(store) == NOW + 100
    assert claimed(store, now=NOW + 100).key == "fraud"


def test_wanting_never_postpones_what_was_wanted_earlier(store: Store) -> None:
    want(store, not_before=NOW + 10)
    want(store, not_before=NOW + 100)
    assert next_due(store) == NOW + 10
    want(store)
    assert next_due(store) == NOW


def test_work_that_is_wanted_for_later_while_it_is_being_done_waits_after_it(store: Store) -> None:
    want(store)
    mine = claimed(store)
    want(store, not_before=NOW + 60)
    finish(store, mine)
    assert claim(store, now=NOW + 59) is None
    assert claimed(store, now=NOW + 60).generation == 2


def test_a_crash_during_work_that_is_wanted_for_later_too_is_repeated_when_the_lease_ends(store: Store) -> None:
    want(store)
    claimed(store)
    want(store, not_before=NOW + 10 * LEASE_S)
    assert next_due(store) == NOW + LEASE_S
    assert claimed(store, now=NOW + LEASE_S).generation == 2


def test_a_failure_is_retried_later_with_its_error_and_count(store: Store) -> None:
    want(store)
    again(store, claimed(store), NOW + 5, error="no network")
    assert claim(store, now=NOW + 4) is None
    assert (row(store).error, row(store).attempts) == ("no network", 1)
    second = claimed(store, now=NOW + 5)
    assert second.attempts == 1
    again(store, second, NOW + 10, error="still none")
    third = claimed(store, now=NOW + 10)
    assert third.attempts == 2
    finish(store, third)
    assert (row(store).error, row(store).attempts) == (None, 0)


def test_coming_again_without_an_error_ends_a_row_of_failures(store: Store) -> None:
    want(store)
    again(store, claimed(store), NOW, error="x")
    again(store, claimed(store), NOW + 1)
    assert (row(store).error, row(store).attempts) == (None, 0)


def test_new_wishes_cut_a_backoff_short(store: Store) -> None:
    want(store)
    again(store, claimed(store), NOW + 300, error="x")
    want(store, now=NOW + 1)
    assert claimed(store, now=NOW + 1).attempts == 1

    want(store, "other")
    mine = claimed(store)
    want(store, "other")
    again(store, mine, NOW + 300, error="x")
    assert claimed(store).key == "other", "a wish that came during the failing attempt counts as well"


def test_a_lease_that_ended_goes_to_the_next_and_the_slow_one_learns_it(store: Store) -> None:
    want(store)
    slow = claimed(store, owner="slow")
    assert next_due(store) == NOW + LEASE_S
    assert claim(store, now=NOW + LEASE_S - 1, owner="quick") is None
    quick = claimed(store, now=NOW + LEASE_S, owner="quick")
    assert quick.fence > slow.fence
    changes = (
        lambda conn: work.finish(conn, slow),
        lambda conn: work.again(conn, slow, at=NOW),
        lambda conn: work.renew(conn, slow, now=NOW, lease_s=LEASE_S),
        lambda conn: work.check(conn, slow),
    )
    for change in changes:
        with pytest.raises(LeaseLost, match="sync fraud is leased to quick, no longer to slow"):
            store.write(change)
    finish(store, quick)
    with pytest.raises(LeaseLost, match="nobody"):
        finish(store, quick)


def test_a_lease_lost_to_oneself_is_lost_all_the_same(store: Store) -> None:
    want(store)
    first = claimed(store)
    second = claimed(store, now=NOW + LEASE_S)
    with pytest.raises(LeaseLost):
        finish(store, first)
    finish(store, second)


def test_a_renewed_lease_lasts_longer(store: Store) -> None:
    want(store)
    mine = claimed(store)
    store.write(lambda conn: work.renew(conn, mine, now=NOW + 50, lease_s=LEASE_S))
    assert claim(store, now=NOW + LEASE_S + 40) is None
    finish(store, mine)


def test_a_lease_that_ran_out_fails_the_check_before_an_outside_write(store: Store) -> None:
    want(store)
    mine = claimed(store)
    with store.read() as conn:
        work.check(conn, mine, now=NOW + LEASE_S - 1)
        with pytest.raises(LeaseLost, match="ran out"):
            work.check(conn, mine, now=NOW + LEASE_S + 3)


def test_a_change_that_loses_its_lease_changes_nothing(store: Store) -> None:
    want(store)
    slow = claimed(store, owner="slow")
    claimed(store, now=NOW + LEASE_S, owner="quick")

    def change(conn: Any) -> None:
        work.want(conn, "launch", "run", now=NOW)
        work.finish(conn, slow)

    with pytest.raises(LeaseLost):
        store.write(change)
    with store.read() as conn:
        assert work.get(conn, "launch", "run") is None


def test_the_backlog_counts_what_is_wanted_by_kind(store: Store) -> None:
    want(store, "a")
    want(store, "b")
    want(store, "c", "notify")
    finish(store, claimed(store, "notify"))
    with store.read() as conn:
        assert work.backlog(conn) == {"sync": 2}
        assert [w.key for w in work.waiting(conn)] == ["a", "b"]


def test_a_backoff_doubles_up_to_its_roof_and_jitter_only_shortens_it() -> None:
    assert [work.backoff(n) for n in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert work.backoff(10_000) == limits.BACKOFF_MAX_S
    assert work.backoff(0) == limits.BACKOFF_FIRST_S
    assert work.backoff(4, jitter=0.5) == 6
    assert work.backoff(4, jitter=1.0) == 4


def test_concurrent_claimers_never_get_the_same_work(store: Store) -> None:
    keys = [f"k{number}" for number in range(60)]
    for key in keys:
        want(store, key)
    handed: Counter[str] = Counter()
    lock = threading.Lock()

    def labour(owner: str) -> None:
        while (mine := claim(store, owner=owner)) is not None:
            with lock:
                handed[mine.key] += 1
            finish(store, mine)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(labour, [f"w{n}" for n in range(8)]))
    assert handed == Counter(keys)


def test_every_wish_is_seen_by_a_claim_that_began_after_it(store: Store) -> None:
    """The promise behind `newest wins, nothing is lost`, with wishes and claims racing each other."""
    wishes = threading.Semaphore(0)
    seen: list[int] = []
    made: list[int] = []
    everything = 120
    stop = threading.Event()

    def wish(numbers: range) -> None:
        for number in numbers:
            made.append(number)
            want(store)
            wishes.release()

    def labour() -> None:
        while not stop.is_set():
            found = store.next_work(seek("sync"), 0.2)
            if found is None:
                continue
            mine = found.claim
            seen.append(len(made))
            finish(store, mine)

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(labour) for _ in range(2)]
        list(pool.map(wish, [range(60), range(60, 120)]))
        for _ in range(2000):
            if row(store).done == everything:
                break
            time.sleep(0.01)
        stop.set()
        store.wake()
        for worker in workers:
            worker.result(20)
    assert row(store).done == row(store).wanted == everything
    assert seen[-1] == everything
