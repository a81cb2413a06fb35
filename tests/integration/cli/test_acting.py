from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection

from service.domain.plan import Cause, Plan, PlannedRun, render
from service.domain.projects import Declaration
from service.domain.states import Outcome, PreviewState, RunState, SyncState
from service.errors import LoadFailed
from service.store import deliveries, new_id, previews, projects, runs, syncs
from service.store.previews import Preview
from service.store.syncs import Sync
from tests.integration.api.rows import COMMIT, MAIN, a_run, tell
from tests.integration.cli.conftest import Cli, Said


def soon(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline, "it does not come"
        threading.Event().wait(0.02)
    return found


def test_push_asks_for_a_sync(cli: Cli) -> None:
    said = cli("push", "fraud", "main")
    assert said.code == 0
    [made] = cli.api.get("/deliveries")["items"]
    assert made["id"] in said.out
    assert made["ref"] == MAIN
    assert cli("push", "fraud", "--json").data.keys() == {"delivery"}


def test_run_takes_arguments_as_json_or_text(cli: Cli) -> None:
    tell(cli.api.store)
    made = cli("run", "fraud", "main", "-a", "rows=5", "-a", "name=a=b", "-a", 'deep={"x": [1]}', "--json").data
    assert cli.api.get(f"/runs/{made['run']}")["arguments"] == {"rows": 5, "name": "a=b", "deep": {"x": [1]}}
    wrong = cli("run", "fraud", "main", "-a", "rows")
    assert wrong.code == 2
    assert "NAME=VALUE" in wrong.err


def planning(cli: Cli, *words: str, state: PreviewState, **told: Any) -> Said:
    """`plan fraud`, whose answer is made once it is asked for."""
    tell(cli.api.store)
    process = cli.start("plan", "fraud", *words)
    [waiting] = soon(lambda: opened(cli))
    assert process.poll() is None
    cli.api.store.write(lambda conn: previews.end(conn, waiting.id, state, now=1.0, ref=MAIN, commit=COMMIT, **told))
    return cli.end(process)


def opened(cli: Cli) -> list[Preview]:
    with cli.api.store.read() as conn:
        return previews.open_of(conn, "fraud")


def test_a_plan_of_a_project_is_waited_for_and_shown_as_everywhere(cli: Cli) -> None:
    run = PlannedRun(workflow="main", reason="pushed")
    made = Plan(
        project="fraud",
        ref=MAIN,
        commit=COMMIT,
        cause=Cause.PUSH,
        revision="r2",
        save=True,
        puts_in_force=True,
        runs=(run,),
    )
    said = planning(cli, "--ref", "v1", state=PreviewState.SUCCEEDED, plan=made, reason="planned as if v1 came to main")
    assert said.code == 0, said
    assert [line.strip() for line in said.out.splitlines()] == [line.strip() for line in render(made)]
    assert said.err == "note: planned as if v1 came to main\n"
    said = planning(cli, "--json", "--project", state=PreviewState.SUCCEEDED, plan=made)
    assert said.data == {"plans": [json.loads(msgspec.json.encode(made))], "failures": [], "notes": []}


def test_a_plan_without_anything_to_do_says_why(cli: Cli) -> None:
    said = planning(cli, state=PreviewState.SKIPPED, reason="no file changed since the last sync")
    line = f"fraud: main at {COMMIT[:12]}: nothing to do: no file changed since the last sync"
    assert (said.code, said.out, said.err) == (0, f"{line}\n", "")
    assert planning(cli, "--json", state=PreviewState.SKIPPED, reason="no file changed since the last sync").data == {
        "plans": [],
        "failures": [],
        "notes": [line],
    }


def test_a_plan_that_fails_shows_the_users_own_traceback(cli: Cli) -> None:
    error = LoadFailed(
        "ValueError: rows", mend="mend it in the repository and push", detail="Traceback\n  setup.py, line 3"
    )
    said = planning(cli, state=PreviewState.FAILED, error=syncs.failure(error))
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines() == [
        "error: fraud: ValueError: rows",
        "  | Traceback",
        "  |   setup.py, line 3",
        "  mend it in the repository and push",
    ]
    said = planning(cli, "--json", state=PreviewState.FAILED, error=syncs.failure(error))
    assert (said.code, said.data["failures"][0]["code"]) == (1, "load-failed")


def test_a_word_that_is_neither_a_folder_nor_a_project_is_told_so(cli: Cli) -> None:
    said = cli("plan", "nobody")
    assert said.code == 1
    assert said.err.startswith("error: there is no folder 'nobody' here, and there is no project 'nobody'")
    assert "there is no project" not in cli("plan", "./nobody").err
    away = cli("plan", "nobody", "--url", "http://127.0.0.1:9")
    assert away.code == 1
    assert "there is no folder 'nobody' here, and nothing answers at http://127.0.0.1:9" in away.err
    assert "mlrun-gitops serve" in away.err
    assert cli("plan", "service", "--project").err.startswith("error: there is no project 'service'")
    assert cli("plan", "nobody", "--against").code == 2


def test_cancel_and_retry(cli: Cli) -> None:
    story = tell(cli.api.store)
    assert "asked run" in cli("cancel", story.run).out
    refused = cli("retry", story.run)
    assert (refused.code, "running" in refused.err) == (1, True)
    end(cli, story.run, RunState.CANCELLED)
    made = cli("retry", "fraud", "--json").data["run"]
    assert cli.api.get(f"/runs/{made}")["retry_of"] == story.run


def test_redeliver(cli: Cli) -> None:
    story = tell(cli.api.store)
    assert cli("redeliver", story.delivery).code == 0
    assert len(cli.api.get("/deliveries")["items"]) == 2


@pytest.mark.parametrize(("state", "code"), [(RunState.SUCCEEDED, 0), (RunState.FAILED, 1)])
def test_waiting_for_a_push_goes_on_to_the_end_of_its_runs(cli: Cli, state: RunState, code: int) -> None:
    process = cli.start("push", "fraud", "main", "--wait")
    asked = soon(lambda: cli.api.get("/deliveries")["items"])[0]["id"]
    run = sync_with_a_run(cli, asked)
    assert process.poll() is None
    end(cli, run, state)
    said = cli.end(process)
    assert said.code == code, said
    assert [line.split()[0] for line in said.out.splitlines()] == [
        *("asked", "push", "sync", "run"),
        *(["see", "see"] if code else []),
    ]
    assert state.value in said.out


def test_waiting_ends_with_a_failed_sync(cli: Cli) -> None:
    process = cli.start("push", "fraud", "main", "--wait")
    asked = soon(lambda: cli.api.get("/deliveries")["items"])[0]["id"]
    reason = "project.yaml, line 2"
    cli.api.store.write(lambda conn: deliveries.set_outcome(conn, asked, Outcome.FAILED, reason, now=1.0))
    said = cli.end(process)
    assert (said.code, reason in said.out) == (1, True)


def test_waiting_ends_at_its_timeout_and_says_that_it_goes_on(cli: Cli) -> None:
    said = cli("push", "fraud", "--wait", "--timeout", "0.1")
    assert said.code == 1
    assert "mlrun-gitops status" in said.err


def test_following_a_log_ends_with_the_run(cli: Cli) -> None:
    story = tell(cli.api.store)
    launcher = cli.api.launcher
    launcher.prints = "epoch 1\n"
    process = cli.start("logs", story.run, "-f")
    assert process.stdout is not None
    assert process.stdout.readline() == "epoch 1\n"
    launcher.prints += "epoch 2\n"
    assert process.stdout.readline() == "epoch 2\n"
    end(cli, story.run, RunState.SUCCEEDED)
    assert cli.end(process).code == 0


def test_a_reader_that_has_enough_is_no_trouble(cli: Cli) -> None:
    story = tell(cli.api.store)
    cli.api.launcher.prints = "x" * 1_000_000
    process = cli.start("logs", story.run)
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    process.wait(60)
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def sync_with_a_run(cli: Cli, delivery: str) -> str:
    """What the reconciler does for a delivery; the id of the run, which runs."""

    def change(conn: Connection) -> str:
        now = cli.api.store.now()
        projects.claim_name(conn, "fraud", repository="fraud", path=".", ref=MAIN, now=now)
        sync = Sync(
            id=new_id(),
            project="fraud",
            repository="fraud",
            ref=MAIN,
            commit=COMMIT,
            seq=projects.next_seq(conn, "fraud"),
            cause=Cause.MANUAL,
            declaration=Declaration(),
            created_at=now,
        )
        syncs.add(conn, sync)
        deliveries.set_outcome(conn, delivery, Outcome.SYNCED, "asked for", now=now)
        syncs.start(conn, sync.id, base=None, now=now)
        run, _ = runs.add(conn, a_run(new_id(), "fraud", "fraud", now, sync=sync.id))
        syncs.transition(conn, sync.id, SyncState.SUCCEEDED, now=now)
        return run.id

    return cli.api.store.write(change)


def end(cli: Cli, run: str, state: RunState) -> None:
    open_states = [RunState.QUEUED, RunState.RUNNING]
    ended = cli.api.store.write(
        lambda conn: runs.transition(conn, run, state, expected=open_states, now=cli.api.store.now())
    )
    assert ended is not None
