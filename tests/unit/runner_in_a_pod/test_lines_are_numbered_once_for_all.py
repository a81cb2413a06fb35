from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.workflow_runner.events import LINE_BYTES
from service.workflow_runner.pod import lines
from service.workflow_runner.pod.lines import Lines, finishes


def event(name: str, **fields: object) -> bytes:
    return json.dumps({"event": name, "at": "2026-01-01T00:00:00Z", **fields}).encode()


CLAIMED, FINISHED = event("claimed", pid=1), event("finished", state="succeeded")


def write(folder: Path, *said: bytes, end: bytes = b"\n") -> Path:
    path = folder / "events.jsonl"
    path.write_bytes(b"\n".join(said) + end)
    return path


def everything(path: Path, since: int = 1) -> list[bytes]:
    reader, taken = Lines(str(path)), list[bytes]()
    while more := reader.take(since + len(taken)):
        taken += more
    return taken


def test_the_runners_own_claim_is_passed_over_and_number_one_comes_next(tmp_path: Path) -> None:
    path = write(tmp_path, CLAIMED, b"", event("a"), b"  ", b"no JSON", FINISHED)
    assert everything(path) == [event("a"), b"no JSON", FINISHED]
    assert everything(path, 2) == [b"no JSON", FINISHED]
    assert everything(path, 9) == []


def test_a_second_claimed_is_a_line_like_any_other(tmp_path: Path) -> None:
    assert everything(write(tmp_path, CLAIMED, event("a"), CLAIMED)) == [event("a"), CLAIMED]


def test_a_line_without_its_end_waits_for_it(tmp_path: Path) -> None:
    path = write(tmp_path, CLAIMED, event("a"), b'{"event": "b', end=b"")
    reader = Lines(str(path))
    assert reader.take(1) == [event("a")]
    assert reader.take(2) == []
    with path.open("ab") as file:
        file.write(b'", "at": "x"}\n')
    assert reader.take(2) == [b'{"event": "b", "at": "x"}']


def test_without_a_file_there_are_no_lines(tmp_path: Path) -> None:
    assert Lines(str(tmp_path / "events.jsonl")).take(1) == []


def test_of_an_endless_line_the_beginning_is_sent_when_it_ends(tmp_path: Path) -> None:
    path = write(tmp_path, CLAIMED, b"x" * (3 * LINE_BYTES), event("a"), b"y" * (3 * LINE_BYTES), end=b"")
    first, second = everything(path)
    assert LINE_BYTES < len(first) <= LINE_BYTES + 2
    assert second == event("a")


@given(
    st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line and line.strip()), max_size=30),
    st.integers(1, 5),
    st.lists(st.integers(1, 40), max_size=10),
)
def test_whatever_is_asked_again_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, said: list[bytes], at_once: int, asked: list[int]
) -> None:
    path = write(tmp_path_factory.mktemp("lines"), CLAIMED, *said)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "MESSAGE_LINES", at_once)
        reader = Lines(str(path))
        for since in asked:
            assert reader.take(since) == said[since - 1 : since - 1 + at_once]
        assert everything(path) == said


def test_a_message_holds_what_fits_into_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MESSAGE_BYTES", 100)
    reader = Lines(str(write(tmp_path, CLAIMED, b"a" * 60, b"b" * 60, b"c" * 300, b"d")))
    assert [len(taken) for taken in (reader.take(1), reader.take(2), reader.take(3), reader.take(4))] == [1, 1, 1, 1]


def test_beyond_the_cap_only_the_last_event_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LINES", 3)
    path = write(tmp_path, CLAIMED, *(event("a", n=n) for n in range(50)), FINISHED)
    said = [json.loads(line) for line in everything(path)]
    assert [one["event"] for one in said] == ["a", "a", "warning", "finished"]
    assert "only the last" in said[2]["text"]


def test_the_cap_is_in_bytes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BYTES", 300)
    path = write(tmp_path, CLAIMED, *(event("a", text="x" * 100) for _ in range(50)), FINISHED)
    assert [json.loads(line)["event"] for line in everything(path)][-2:] == ["warning", "finished"]


def test_what_finishes_is_an_event_and_no_text_that_looks_like_one() -> None:
    assert finishes([event("a"), FINISHED])
    assert not finishes([event("a", text='"finished"'), b'{"event": "finished"', b'["finished"]'])
