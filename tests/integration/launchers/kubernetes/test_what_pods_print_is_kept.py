"""Logs: live, whole, once, and after the pod is gone."""

from __future__ import annotations

import pytest

from service import limits

pytestmark = [pytest.mark.kubernetes, pytest.mark.runner]


def _printed(stage, job):
    return [line for line in stage.launcher.logs(job).text.splitlines() if line.startswith("line")]


def test_a_log_is_read_while_it_is_printed(stage):
    job = stage.start("print('line 1', flush=True); time.sleep(600)")
    stage.follow(job, until="claimed")
    stage.wait(lambda: _printed(stage, job) == ["line 1"], within_s=15)
    assert not stage.launcher.logs(job).complete


def test_two_services_that_follow_one_job_keep_its_log_once(stage):
    """As for a moment while one takes over from the other."""
    job = stage.start("for i in range(400): print('line', i, flush=True); time.sleep(0.005)")
    other = stage.another()
    told = stage.follow(job, until="claimed")
    for _ in range(100):
        for seen in other.observe({job: told.position}, 0.1):
            assert seen.position >= told.position
    stage.follow(job, told=told)
    assert told.kinds == ["claimed", "finished"]
    assert _printed(stage, job) == [f"line {i}" for i in range(400)]


def test_a_log_that_there_is_no_room_to_follow_is_fetched_when_it_is_read_and_at_the_end(stage):
    stage.launcher._logs._followers = 0
    job = stage.start("print('line 1', flush=True); time.sleep(6); print('line 2')")
    told = stage.follow(job, until="claimed")
    stage.wait(lambda: _printed(stage, job) == ["line 1"], within_s=20)
    stage.follow(job, told=told)
    assert _printed(stage, job) == ["line 1", "line 2"]


def test_a_log_without_end_is_cut_with_a_remark(stage, monkeypatch):
    monkeypatch.setattr(limits, "RUN_LOG_BYTES", 100_000)
    job = stage.start("for i in range(20_000): print('line', i)")
    stage.follow(job)
    chunk = stage.launcher.logs(job, -200)
    assert chunk.complete
    assert chunk.text.endswith("MiB; the rest is dropped]\n")
    assert chunk.next_offset < 100_200


def test_a_log_is_there_when_the_pod_is_not(make_stage):
    stage = make_stage(keep=0)
    job = stage.start("print('line 1')\nprint('Zoë ✓')")
    stage.follow(job)
    stage.launcher.clean(job)
    stage.wait(lambda: not stage.pods(job))
    text = stage.launcher.logs(job).text
    assert "line 1" in text
    assert "Zoë ✓" in text
    # No character is torn, wherever somebody begins to read.
    size = len(text.encode())
    first = stage.launcher.logs(job, 0)
    assert (first.next_offset, first.complete) == (size, True)
    assert stage.launcher.logs(job, size).complete


def test_the_log_of_a_job_that_nobody_knows_is_empty(stage):
    chunk = stage.launcher.logs("nobody", 7)
    assert (chunk.text, chunk.next_offset, chunk.complete) == ("", 7, False)
