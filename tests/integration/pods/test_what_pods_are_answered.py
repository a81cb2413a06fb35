from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service import limits
from service.launchers import EndReason, JobKind
from service.store import jobs
from tests.peers.pod import Callee, token_of_pod

ME, OTHER = "m" * 32, "o" * 32


@pytest.fixture
def http(callee: Callee) -> Iterator[httpx.Client]:
    callee.add()
    with httpx.Client(base_url=f"{callee.url}/runner/v1/jobs", trust_env=False) as client:
        client.headers["Authorization"] = f"Bearer {token_of_pod(callee.store, 'one')}"
        yield client


def claim(http: httpx.Client, claimer: str = ME, job: str = "one", **found: Any) -> httpx.Response:
    return http.post(f"/{job}/claim", json={"claimer": claimer, "found": found})


def tell(http: httpx.Client, since: int, *lines: str, claimer: str = ME) -> httpx.Response:
    return http.post("/one/events", json={"claimer": claimer, "since": since, "lines": lines})


def event(name: str, **fields: Any) -> str:
    return json.dumps({"event": name, "at": "2026-01-01T00:00:00Z", **fields})


def test_strangers_are_all_answered_alike(callee: Callee, http: httpx.Client) -> None:
    callee.add("two")
    wrong = ["", "Bearer", "Bearer x", "Basic abc", f"Bearer {token_of_pod(callee.store, 'two')}", "Bearer \xe9"]
    answers = [http.get("/one/job", headers=[(b"Authorization", shown.encode("latin-1"))]) for shown in wrong]
    answers.append(http.get("/nobody/job"))
    answers.append(http.post("/nobody/events", content=b"no JSON"))
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1


def test_the_document_comes_in_its_own_order(callee: Callee, http: httpx.Client) -> None:
    callee.add("ordered", payload={"z": {"b": 1, "a": 2}, "a": 1})
    answer = http.get("/ordered/job", headers={"Authorization": f"Bearer {token_of_pod(callee.store, 'ordered')}"})
    assert list(answer.json()["job"])[-2:] == ["z", "a"]
    assert list(answer.json()["job"]["z"]) == ["b", "a"]


def test_a_job_is_claimed_by_one_however_often_it_asks(callee: Callee, http: httpx.Client) -> None:
    assert [claim(http, who).status_code for who in (ME, OTHER, ME)] == [200, 409, 200]
    assert claim(http).json() == {"lines": 1}
    assert tell(http, 1, event("a"), claimer=OTHER).status_code == 409
    assert http.put("/one/result", content=b"{}", headers={"Gitops-Claimer": OTHER}).status_code == 409


def test_what_the_pod_found_is_in_the_first_event(callee: Callee, http: httpx.Client) -> None:
    claim(http, python="3.9.18", mlrun="1.9.2\n" + "x" * 5000, kfp=["no text"])
    (line,) = callee.lines()
    assert (line["event"], line["python"], line["kfp"], line["warm"]) == ("claimed", "3.9.18", None, False)
    assert line["mlrun"] == "1.9.2 " + "x" * 54


def test_lines_are_kept_by_number_and_a_gap_is_asked_for(callee: Callee, http: httpx.Client) -> None:
    claim(http)
    said = [tell(http, since, *lines).json()["lines"] for since, lines in (
        (1, [event("a"), event("b")]), (1, [event("a"), event("b")]), (2, [event("b"), event("c")]), (9, [event("z")]), (4, []),
    )]  # fmt: skip
    assert said == [3, 3, 4, 4, 4]
    assert callee.events() == ["claimed", "a", "b", "c"]


def test_what_is_no_event_becomes_a_warning(callee: Callee, http: httpx.Client) -> None:
    claim(http)
    strange = [
        "no JSON",
        "",
        "[]",
        '{"event": 1, "at": "x"}',
        '{"event": "torn',
        event("x", text="x" * limits.EVENT_BYTES),
        "[" * 50_000,
        event("\x00\ud800"),
        '{"event": "numbers", "at": "x", "values": [NaN, Infinity, 1e999]}',
    ]
    assert tell(http, 1, *strange).status_code == 200
    assert callee.events()[1:] == ["warning"] * 7 + ["\x00\ud800", "numbers"]
    assert callee.lines()[-1]["values"] == [None, None, None]


def test_a_body_that_is_no_message_is_refused(http: httpx.Client) -> None:
    for body in (
        b"",
        b"[]",
        b"{",
        b'{"claimer": "short"}',
        b'{"claimer": 1}',
        b"\xff",
        b'{"claimer": "' + b"a b" * 8 + b'"}',
    ):
        answer = http.post("/one/claim", content=body)
        assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    negative = http.post("/one/events", json={"claimer": ME, "since": -1, "lines": []})
    assert negative.status_code == 400


def test_more_lines_than_a_runner_sends_are_refused_before_they_are_looked_at(http: httpx.Client) -> None:
    claim(http)
    assert tell(http, 1, *[""] * (limits.POD_LINES_AT_ONCE + 1)).status_code == 400
    assert tell(http, 1, *[""] * limits.POD_LINES_AT_ONCE).json() == {"lines": 1 + limits.POD_LINES_AT_ONCE}


def test_what_is_too_large_is_refused_while_it_is_read(callee: Callee, http: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b"x" * 65536

    for content in (endless(), b"x" * (limits.POD_WORDS_BYTES + 1)):
        assert http.post("/one/claim", content=content).status_code == 413
    callee.add("load", kind=JobKind.LOAD)
    http.headers["Authorization"] = f"Bearer {token_of_pod(callee.store, 'load')}"
    claim(http, job="load")
    large = http.put("/load/result", content=b"x" * (limits.LOAD_RESULT_BYTES + 1), headers={"Gitops-Claimer": ME})
    assert large.status_code == 413


def test_a_job_that_tells_without_end_is_not_kept(
    callee: Callee, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "POD_LINES", 5)
    claim(http)
    assert tell(http, 1, *[event("a")] * 4).status_code == 200
    assert tell(http, 5, event("a")).status_code == 413
    assert len(callee.events()) == 5


def test_a_result_is_kept_and_the_last_one_counts(callee: Callee, http: httpx.Client) -> None:
    callee.add("load", kind=JobKind.LOAD)
    http.headers["Authorization"] = f"Bearer {token_of_pod(callee.store, 'load')}"
    early = http.put("/load/result", content=b"0", headers={"Gitops-Claimer": ME})
    claim(http, job="load")
    twice = [http.put("/load/result", content=body, headers={"Gitops-Claimer": ME}) for body in (b"1", b"2")]
    assert [early.status_code, *(answer.status_code for answer in twice)] == [409, 204, 204]
    with callee.store.read() as conn:
        assert jobs.result(conn, "load") == b"2"


@pytest.mark.parametrize("over", ["cancelled", "ended"])
def test_what_is_over_is_gone_for_everybody(callee: Callee, http: httpx.Client, over: str) -> None:
    claim(http)
    if over == "cancelled":
        callee.cancel()
    else:
        callee.store.write(lambda conn: jobs.end(conn, "one", EndReason.NODE_LOST, now=1.0))
    answers = [
        http.get("/one/job"),
        http.get("/one/source"),
        claim(http),
        claim(http, OTHER),
        tell(http, 1, event("last")),
        tell(http, 2),
    ]
    assert {answer.status_code for answer in answers} == {410}
    assert callee.events() == (["claimed", "last"] if over == "cancelled" else ["claimed"])


def test_an_image_that_lacks_something_ends_the_job_with_a_sentence(callee: Callee, http: httpx.Client) -> None:
    body = {
        "faults": ["Python 3.8.10 found, 3.9 needed", "mlrun missing, 1.9 needed", "HOME=/\nis not writable"],
        "found": {"python": "3.8.10"},
        "wanted": {"python": "3.9"},
    }
    twice = [http.post("/one/incompatible", json=body).status_code for _ in range(2)]
    assert twice == [204, 204]
    job = callee.job()
    assert job.ended is EndReason.INCOMPATIBLE
    assert job.detail == (
        "image example/image:1: Python 3.8.10 found, 3.9 needed; mlrun missing, 1.9 needed; HOME=/ is not writable"
    )


def test_a_job_that_runs_is_not_ended_by_another_pods_image(callee: Callee, http: httpx.Client) -> None:
    claim(http)
    assert http.post("/one/incompatible", json={"faults": ["x"]}).status_code == 409
    assert callee.job().ended is None


def test_the_files_come_whole_or_from_where_they_were_cut(http: httpx.Client) -> None:
    whole = http.get("/one/source")
    etag = whole.headers["ETag"]
    rest = http.get("/one/source", headers={"Range": "bytes=10-", "If-Range": etag})
    other = http.get("/one/source", headers={"Range": "bytes=10-", "If-Range": '"other"'})
    assert (whole.status_code, rest.status_code, other.status_code) == (200, 206, 200)
    assert whole.content[10:] == rest.content
    assert other.content == whole.content
    assert whole.headers["Gitops-Sha256"] == rest.headers["Gitops-Sha256"] == etag.strip('"')
    assert int(http.head("/one/source").headers["Content-Length"]) == len(whole.content)


def test_who_runs_a_job_has_its_files(http: httpx.Client) -> None:
    claim(http)
    assert http.get("/one/source").status_code == 409


def test_a_store_that_is_full_asks_to_come_again(
    callee: Callee, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.errors import StoreUnavailable

    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(callee.store, "write", full)
    answer = claim(http)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
