from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable

import pytest

from tests.peers.pod import Callee, Pod
from tests.waiting import until

Start = Callable[..., Pod]
SEEN = "import hashlib\nemit('seen', sha=hashlib.sha256(open('large', 'rb').read()).hexdigest())\n"


@pytest.fixture
def files() -> dict[str, bytes]:
    return {"large": os.urandom(1_000_000)}


def test_a_download_that_breaks_goes_on_where_it_was(callee: Callee, start: Start, files: dict[str, bytes]) -> None:
    callee.add(script=SEEN)
    cuts = iter([300_000, 300_000, 0])
    sent: list[int] = []

    def cut(what: str) -> int | None:
        if what == "source":
            sent.append(next(cuts, -1))
            return None if sent[-1] < 0 else sent[-1]
        return None

    callee.cut = cut
    pod = start()
    assert pod.wait() == 0, pod.log
    assert callee.lines()[1]["sha"] == hashlib.sha256(files["large"]).hexdigest()
    assert sent == [300_000, 300_000, 0, -1]
    assert callee.ranges == [None, "bytes=300000-", "bytes=600000-", "bytes=600000-"]


def test_what_is_not_what_was_sent_is_fetched_anew(callee: Callee, start: Start) -> None:
    callee.add(script=SEEN)
    wrong = iter([True, True])
    callee.meddle = lambda what: ("200 OK", b"garbage") if what == "source" and next(wrong, False) else None
    pod = start()
    assert pod.wait() == 0, pod.log
    assert callee.events() == ["claimed", "seen", "finished"]


def test_files_that_are_refused_are_said_and_nothing_begins(
    callee: Callee, start: Start, files: dict[str, bytes]
) -> None:
    files["../outside"] = b"x"
    callee.add(script=SEEN)
    pod = start()
    assert pod.wait() == 1
    assert "no name of a file" in pod.log
    assert callee.events() == []


def test_a_pod_that_is_told_to_end_while_it_waits_ends(callee: Callee, start: Start) -> None:
    callee.add(script=SEEN)
    callee.meddle = lambda what: ("503 Service Unavailable", b"") if what == "source" else None
    pod = start()
    until(lambda: callee.requests.count("source") > 1, "it to ask again")
    pod.signal(signal.SIGTERM)
    assert pod.wait() == 143
    assert "claim" not in callee.requests
