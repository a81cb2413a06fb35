"""A service that stops leaves its work to the next one, at once and without calling it a failure."""

from __future__ import annotations

import threading
import time

from service.store import work
from tests.integration.reconciler.stage import Stage, project_yaml
from tests.peers.git_http import Mode
from tests.waiting import until


def test_a_service_with_nothing_to_do_stops_at_once(stage: Stage) -> None:
    stage.settle()
    began = time.monotonic()
    stage.stop()
    assert time.monotonic() - began < 3


def test_a_fetch_that_hangs_is_waited_for_no_longer_and_is_no_failure(stage: Stage) -> None:
    forge = stage.forge.repositories["fraud"]
    forge.behave(Mode.HANG)
    commit = stage.push({"project.yaml": project_yaml()})
    until(lambda: stage.forge.requests, "the fetch to hang")
    stage.stop()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("fetch")]
    forge.behave(Mode.WELL)
    stage.start()
    with stage.store.read() as conn:
        row = work.get(conn, "fetch", "fraud")
    assert row is not None
    assert (row.attempts, stage.error()) == (0, None)
    until(lambda: stage.in_force() == commit, "the next service to fetch it")


def test_a_sync_cut_off_by_a_stop_goes_on_at_the_next_start_as_often_as_it_takes(stage: Stage) -> None:
    with stage.launcher.loads_wait():
        commit = stage.push({"project.yaml": project_yaml()})
        for _ in range(7):
            until(lambda: stage.states() == ["syncing"], "the sync to begin")
            stage.restart()
        with stage.store.read() as conn:
            row = work.get(conn, "sync", "fraud")
        assert row is not None
        assert row.attempts == 0
    assert stage.ran() == [commit]
    assert set(stage.launcher.starts.values()) == {1}


def test_what_was_pushed_while_the_service_was_down_is_found_by_the_poll(stage: Stage) -> None:
    first = stage.push({"project.yaml": project_yaml()})
    stage.settle(but=())
    stage.stop()
    second = stage.push({"a.py": "2"}, hook=False)
    stage.restart(repositories=[stage.repository("fraud", poll="1h")])
    until(lambda: stage.in_force() == second, "the poll to find it")
    assert stage.ran() == [first, second]


def test_a_run_goes_on_while_the_service_is_away_and_its_end_is_heard(stage: Stage) -> None:
    stage.launcher.runs_end = False
    stage.push({"project.yaml": project_yaml()})
    (run,) = until(lambda: [r for r in stage.runs() if r.state == "running"], "the run to run")
    stage.stop()
    stage.launcher.finish(run.id, results={"score": 1})
    stage.start()
    until(lambda: stage.runs()[0].state == "succeeded", "its end to be heard")
    assert stage.runs()[0].results == {"score": 1}
    assert stage.launcher.starts[run.id] == 1
