"""What moves on a terminal, and what is said of the same in a pipe."""

from __future__ import annotations

import re
import signal

import pytest

from service import __version__
from service.domain.states import RunState
from service.store import runs, syncs
from tests.integration.api.rows import tell
from tests.integration.cli.conftest import Cli
from tests.integration.cli.terminal import on_a_terminal
from tests.integration.cli.test_acting import end, soon, sync_with_a_run

STEPS = [
    {"event": "step.started", "at": "2026-01-02T03:04:05Z", "step": "train", "uid": "1"},
    {"event": "step.finished", "at": "2026-01-02T03:04:17Z", "step": "train", "uid": "1", "state": "succeeded"},
    {"event": "step.started", "at": "2026-01-02T03:04:18Z", "step": "evaluate", "uid": "2"},
    {"event": "step.finished", "at": "2026-01-02T03:04:19Z", "step": "evaluate", "uid": "2", "state": "failed"},
]


def add_steps(cli: Cli, run: str, events: list[dict[str, str]], since: int) -> None:
    cli.api.store.write(
        lambda conn: runs.add_events(conn, run, events, since=since, position=since + 100, now=cli.api.store.now())
    )


def test_steps_are_told_as_they_end_and_a_bad_end_says_where_to_look(cli: Cli) -> None:
    process = cli.start("push", "fraud", "main", "--wait")
    asked = soon(lambda: cli.api.get("/deliveries")["items"])[0]["id"]
    run = sync_with_a_run(cli, asked)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    assert [line.split()[0] for line in lines] == ["asked", "push", "sync"]
    add_steps(cli, run, STEPS[:2], 0)
    assert process.stdout.readline() == "step  train succeeded after 12 s\n"
    add_steps(cli, run, STEPS[2:], 100)
    assert process.stdout.readline() == "step  evaluate failed after 1.0 s\n"
    end(cli, run, RunState.FAILED)
    said = cli.end(process)
    assert said.code == 1
    assert said.out.splitlines()[-2:] == [f"      see `mlrun-gitops {verb} {run}`" for verb in ("runs", "logs")]


def test_on_a_terminal_the_same_lines_stand_above_what_moves(cli: Cli) -> None:
    story = tell(cli.api.store)
    add_steps(cli, story.run, STEPS, 100)
    end(cli, story.run, RunState.SUCCEEDED)
    code, shown = on_a_terminal("redeliver", story.delivery, "--wait", "--timeout", "2", GITOPS_URL=cli.url)
    assert code == 1
    assert "waiting for the fetch" in shown
    assert re.search(r"0:00:0\d", shown)
    assert "it takes longer than --timeout" in shown


def test_the_time_of_each_stage_is_told(cli: Cli) -> None:
    story = tell(cli.api.store)
    timings = {"diff": 0.01, "load": 4.25, "plan": 0.0, "apply": 0.03}
    cli.api.store.write(lambda conn: syncs.record(conn, story.sync, timings=timings))
    assert "diff 0.0 s, load 4.2 s, plan 0.0 s, apply 0.0 s" in cli("syncs", story.sync).out


def test_status_is_watched_until_somebody_has_seen_enough(cli: Cli) -> None:
    tell(cli.api.store)
    process = cli.start("status", "--watch", "--every", "0.2")
    assert process.stdout is not None
    seen = ""
    while len(re.findall(r"^\d{4}-\d\d-\d\dT\S+Z$", seen, re.MULTILINE)) < 3:
        seen += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    said = cli.end(process)
    assert (said.code, said.err) == (0, "")
    assert seen.count("in force") >= 2
    refused = cli("status", "--watch", "--json")
    assert (refused.code, "is for people" in refused.err) == (2, True)


@pytest.mark.parametrize("typed", ["stauts", "shedules"])
def test_a_verb_that_is_mistyped_is_guessed(cli: Cli, typed: str) -> None:
    said = cli(typed)
    assert said.code == 2
    assert f"Did you mean '{ {'stauts': 'status', 'shedules': 'schedules'}[typed] }'?" in said.err


def test_the_version_is_told(cli: Cli) -> None:
    assert cli("--version").out == f"mlrun-gitops {__version__}\n"
