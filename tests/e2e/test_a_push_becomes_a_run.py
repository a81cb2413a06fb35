"""The main job: what is in Git is saved, scheduled and run, and people hear of it."""

from __future__ import annotations

import pytest

from tests.e2e.stage import LONG_S, Stage, Team
from tests.peers.service_process import wait_for

pytestmark = [pytest.mark.runner, pytest.mark.slow]


@pytest.fixture
def team(stage: Stage) -> Team:
    return stage.team()


def test_a_push_is_saved_scheduled_run_and_told(team: Team) -> None:
    commit = team.push(team.files(factor=2, cron="30 2 * * *"))
    sync = team.synced(commit)
    assert (sync["state"], sync["cause"]) == ("succeeded", "push")
    assert team.in_force()["project"]["spec"]["params"] == {"factor": 2}
    assert team.schedules() == {"nightly": "30 2 * * *"}
    [run] = team.runs()
    assert (run["state"], run["workflow"], run["commit"]) == ("succeeded", "main", commit)
    assert run["results"]["double-run"]["product"] == 42
    wait_for(lambda: team.told("run.succeeded"), LONG_S, "the message")
    [message] = team.told("run.succeeded")
    assert message["run"]["id"] == run["id"]
    assert message["commit"]["sha"] == commit
    events = [event["event"] for event in team.stage.service.get(f"/runs/{run['id']}/events")["items"]]
    assert (events[0], events[-1]) == ("claimed", "finished")


def test_a_second_push_changes_what_runs_and_moves_the_schedule(team: Team) -> None:
    team.synced(team.push(team.files(factor=2, cron="30 2 * * *")))
    first = team.in_force()
    commit = team.push(team.files(factor=3, cron="45 3 * * *"))
    team.synced(commit)
    assert team.in_force() != first
    assert team.schedules() == {"nightly": "45 3 * * *"}
    assert team.runs()[0]["results"]["double-run"]["product"] == 63
    wait_for(lambda: team.told("schedule.changed"), LONG_S, "the message")


def test_a_workflow_that_leaves_takes_its_schedule_with_it(team: Team) -> None:
    team.synced(team.push(team.files(cron="30 2 * * *")))
    team.synced(team.push(team.files(cron=None)))
    assert team.schedules() == {}
    wait_for(lambda: team.told("schedule.removed"), LONG_S, "the message")


def test_a_broken_push_leaves_the_last_good_configuration_in_force_and_a_fix_mends_it(team: Team) -> None:
    team.synced(team.push(team.files(factor=2, cron="30 2 * * *")))
    good = team.in_force()
    broken = {
        **team.files(factor=5, cron="0 9 * * *"),
        "workflow.py": "def pipeline():\n    raise ValueError('no data today')\n",
    }
    sync = team.synced(team.push(broken))
    assert sync["state"] == "failed"
    assert "no data today" in sync["error"]["what"]
    assert 'File "workflow.py", line 2' in sync["error"]["detail"]
    assert team.in_force() == good
    assert team.schedules() == {"nightly": "30 2 * * *"}
    assert "no data today" in team.project()["error"]
    mended = team.push(team.files(factor=7, cron="0 9 * * *"))
    assert team.synced(mended)["state"] == "succeeded"
    assert team.project()["error"] is None
    assert team.runs()[0]["results"]["double-run"]["product"] == 147


def test_the_same_push_told_twice_is_synced_once(team: Team) -> None:
    commit = team.push(team.files())
    team.synced(commit)
    again = team.hook(commit)
    assert team.outcome(again)["outcome"] == "unchanged"
    assert len(team.stage.service.all("/syncs", repository=team.name)) == 1
    assert len(team.runs()) == 1


def test_a_hint_from_the_past_does_not_bring_the_past_back(team: Team) -> None:
    old = team.push(team.files(factor=2))
    team.synced(old)
    new = team.push(team.files(factor=3))
    team.synced(new)
    late = team.hook(old)
    assert team.outcome(late)["outcome"] == "superseded"
    assert team.in_force()["project"]["spec"]["params"] == {"factor": 3}


def test_of_two_quick_pushes_the_newer_is_synced_and_the_older_is_recorded(team: Team) -> None:
    older = team.work.commit(team.files(factor=2), "Older")
    newer = team.work.commit(team.files(factor=3), "Newer")
    team.work.push()
    team.hook(older)
    team.hook(newer)
    assert team.synced(newer)["state"] == "succeeded"
    sync = team.synced(older)
    assert (sync["state"], sync["superseded_by"]) == ("superseded", team.synced(newer)["id"])


def test_a_push_that_touches_nothing_of_the_project_runs_nothing(team: Team) -> None:
    config = 'version: 1\nprojects:\n  - {path: ".", refs: [main], paths: ["**", "!docs/**"]}\n'
    team.synced(team.push({**team.files(), ".gitops.yaml": config}))
    assert len(team.runs()) == 1
    sync = team.synced(team.push({"docs/page.md": "words"}))
    assert sync["state"] in ("succeeded", "skipped")
    assert len(team.runs()) == 1


def test_several_projects_of_one_repository_are_each_their_own(team: Team) -> None:
    config = f"""
version: 1
projects:
  - {{path: one, name: {team.name}-one, run: [{{workflow: main, arguments: {{}}}}]}}
  - {{path: two, name: {team.name}-two, run: []}}
"""
    files = {f"{folder}/{name}": text for folder in ("one", "two") for name, text in team.files().items()}
    files = {
        name: text.replace(f"name: {team.name}", f"name: {team.name}-{name[:3]}") if isinstance(text, str) else text
        for name, text in files.items()
    }
    commit = team.push({**files, ".gitops.yaml": config})
    team.synced(commit)
    wait_for(
        lambda: {s["state"] for s in team.stage.service.all("/syncs", repository=team.name)} == {"succeeded"},
        LONG_S,
        "both syncs",
    )
    runs = team.runs()
    assert [(run["project"], run["state"]) for run in runs] == [(f"{team.name}-one", "succeeded")]


def test_a_run_can_be_asked_for_with_arguments_cancelled_and_retried(team: Team) -> None:
    files = team.files()
    files["double.py"] = "import time\n\ndef run(context, factor: int):\n    time.sleep(60)\n"
    team.synced(team.push({**files, ".gitops.yaml": "version: 1\nprojects: [{path: '.', run: []}]\n"}))
    http = team.stage.service.http
    answer = http.post(f"/api/v1/projects/{team.name}/runs", json={"workflow": "main", "arguments": {}})
    assert answer.status_code == 202, answer.text
    run = answer.json()["run"]
    wait_for(lambda: team.stage.service.get(f"/runs/{run}")["state"] == "running", LONG_S, "the run to begin")
    assert http.post(f"/api/v1/runs/{run}/cancel", json={}).status_code in (200, 202, 204)
    [ended] = team.runs()
    assert ended["state"] == "cancelled"
    assert http.post(f"/api/v1/runs/{run}/retry", json={}).status_code == 202
