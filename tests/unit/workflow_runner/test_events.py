"""Event lines are whole, short enough, on disk, and of the process that runs the job."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.workflow_runner.events import LINE_BYTES, Events, encode


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_bytes().splitlines()]


def test_events_are_appended_in_order(tmp_path: Path) -> None:
    events = Events(str(tmp_path))
    events.emit("claimed", pid=1)
    events.emit("finished", state="succeeded")
    assert [line["event"] for line in lines(tmp_path)] == ["claimed", "finished"]
    assert all(line["at"].endswith("Z") and line["at"][10] == "T" for line in lines(tmp_path))


def test_a_forked_child_writes_none(tmp_path: Path) -> None:
    events = Events(str(tmp_path))
    if (child := os.fork()) == 0:
        events.emit("forged")
        os._exit(0 if not events.ours else 1)
    assert os.waitpid(child, 0)[1] == 0
    events.emit("mine")
    assert [line["event"] for line in lines(tmp_path)] == ["mine"]


def test_a_line_that_a_full_disk_tore_costs_that_line_only(tmp_path: Path) -> None:
    events = Events(str(tmp_path))
    events.emit("first")
    size = (tmp_path / "events.jsonl").stat().st_size
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limit[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            events.emit("torn", text="x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    events.emit("last")
    first, torn, last = (tmp_path / "events.jsonl").read_bytes().splitlines()
    assert json.loads(first)["event"] == "first"
    assert json.loads(last)["event"] == "last"
    with pytest.raises(ValueError):
        json.loads(torn)


@pytest.mark.parametrize(
    "fields",
    [
        {"traceback": "x" * 5_000_000},
        {"results": {f"key {n}": "y" * 1000 for n in range(5000)}},
        {"results": {"list": list(range(500_000))}},
        {"results": {"k" * 300_000: {"z" * 300_000: ["\u20ac" * 300_000] * 9}}},
        {
            "results": {
                str(a): {str(b): {str(c): ["\U0001f600" * 99] * 20 for c in range(20)} for b in range(20)}
                for a in range(20)
            }
        },
    ],
)
def test_a_long_event_is_cut_to_one_line_that_is_still_json(fields: dict[str, Any]) -> None:
    line = encode({"event": "step.finished", "at": "now", "state": "failed", **fields})
    assert len(line) <= LINE_BYTES
    told = json.loads(line)
    assert (told["event"], told["state"]) == ("step.finished", "failed")


def test_a_cut_text_keeps_both_ends() -> None:
    told = json.loads(encode({"event": "x", "traceback": "first line" + "." * 1_000_000 + "ValueError: last line"}))
    assert told["traceback"].startswith("first line")
    assert told["traceback"].endswith("ValueError: last line")


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.dates() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.frozensets(st.integers()),
    max_leaves=30,
)


@given(JSONISH)
def test_whatever_a_step_logs_becomes_one_line_of_json(value: Any) -> None:
    line = encode({"event": "step.finished", "results": {"value": value}})
    assert line.count(b"\n") == 1
    assert json.loads(line)["event"] == "step.finished"
