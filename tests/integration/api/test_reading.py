from __future__ import annotations

import pytest

from service.domain.states import RunState
from service.store import new_id, runs
from tests.integration.api.conftest import Api
from tests.integration.api.rows import COMMIT, MAIN, a_run, tell


def test_a_delivery_tells_what_became_of_it(served: Api) -> None:
    story = tell(served.store)
    shown = served.get(f"/deliveries/{story.delivery}")
    assert (shown["state"], shown["outcome"], shown["after"]) == ("accepted", "synced", COMMIT)
    assert [sync["id"] for sync in shown["syncs"]] == [story.sync]
    assert served.get("/deliveries?repository=fraud&outcome=synced")["items"][0]["id"] == story.delivery
    assert served.get("/deliveries?outcome=failed")["items"] == []


def test_a_repository_shows_how_its_news_arrive(served: Api) -> None:
    tell(served.store)
    shown = served.get("/repositories/fraud")
    assert shown["webhook"] == "/webhooks/github/fraud"
    assert shown["branch"] == "main"
    assert shown["projects"] == ["fraud"]
    assert [ref["commit"] for ref in shown["refs"]] == [COMMIT]
    assert (shown["waiting"], shown["lag_s"], shown["error"]) == (0, None, None)
    assert [r["name"] for r in served.get("/repositories")["items"]] == ["churn", "fraud"]


def test_a_repository_that_was_never_fetched_is_shown_all_the_same(served: Api) -> None:
    shown = served.get("/repositories/churn")
    assert (shown["fetched_at"], shown["branch"], shown["refs"]) == (None, None, [])


def test_a_project_shows_what_is_in_force_and_what_goes_on(served: Api) -> None:
    story = tell(served.store)
    shown = served.get("/projects/fraud")
    assert shown["in_force"]["revision"] == "r1"
    assert shown["in_force"]["subject"] == "Better model"
    assert shown["last_sync"]["id"] == story.sync
    assert [(run["id"], run["state"]) for run in shown["open_runs"]] == [(story.run, "running")]
    assert [fire["schedule"] for fire in shown["next_fires"]] == ["nightly"]
    assert served.get("/projects?repository=fraud")["items"] == [shown]


def test_a_sync_shows_its_plan_and_its_runs(served: Api) -> None:
    story = tell(served.store)
    shown = served.get(f"/syncs/{story.sync}")
    assert shown["plan"]["revision"] == "r1"
    assert [run["id"] for run in shown["runs"]] == [story.run]
    assert served.get("/syncs?project=fraud&state=succeeded")["items"][0]["id"] == story.sync


def test_a_revision_shows_its_data(served: Api) -> None:
    tell(served.store)
    assert served.get("/projects/fraud/revisions")["items"][0]["in_force"] is True
    assert served.get("/projects/fraud/revisions/r1")["resolved"]["workflows"]["main"]["engine"] == "local"


def test_a_run_shows_its_events_in_order(served: Api) -> None:
    story = tell(served.store)
    assert served.get(f"/runs/{story.run}")["arguments"] == {"rows": 5}
    shown = served.get(f"/runs/{story.run}/events")
    assert [event["event"] for event in shown["items"]] == ["claimed", "started"]
    assert shown["items"][0]["at"] == "2026-01-02T03:04:05Z"
    assert shown["items"][0]["data"] == {"pid": 7}
    assert shown["ended"] is False
    behind = served.get(f"/runs/{story.run}/events?after={shown['items'][0]['position']}")
    assert [event["event"] for event in behind["items"]] == ["started"]


def test_a_schedule_shows_its_fires(served: Api) -> None:
    story = tell(served.store)
    assert served.get("/schedules?project=fraud")["items"][0]["id"] == story.schedule
    assert served.get(f"/schedules/{story.schedule}/fires")["items"][0]["run"] == story.run


def test_a_notification_shows_its_message(served: Api) -> None:
    story = tell(served.store)
    shown = served.get(f"/notifications/{story.notification}")
    assert (shown["title"], shown["message"]["event"]) == ("main started", "run.started")


def test_a_log_is_read_from_an_offset_as_json_or_text(served: Api) -> None:
    story = tell(served.store)
    served.launcher.prints = "epoch 1\nepoch 2 – done\n"
    first = served.get(f"/runs/{story.run}/log")
    assert first["text"].startswith("epoch 1")
    rest = served.client.get(f"/api/v1/runs/{story.run}/log?offset=8", headers={"Accept": "text/plain"})
    assert rest.text == "epoch 2 – done\n"
    assert rest.headers["X-Next-Offset"] == str(first["next_offset"])
    assert served.get(f"/runs/{story.run}/log?offset={first['next_offset']}&wait=0.2")["text"] == ""


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_pages_follow_one_another_without_gap_or_repetition(served: Api, limit: int) -> None:
    tell(served.store)
    now = served.store.now()
    for _ in range(9):
        served.store.write(lambda conn: runs.add(conn, a_run(new_id(), "fraud", "fraud", now)))
    seen: list[str] = []
    cursor = ""
    while True:
        page = served.get(f"/runs?limit={limit}{cursor}")
        assert len(page["items"]) <= limit
        seen += [run["id"] for run in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 10


def test_runs_are_filtered_by_state(served: Api) -> None:
    story = tell(served.store)
    assert [run["id"] for run in served.get(f"/runs?state={RunState.RUNNING}&ref={MAIN}")["items"]] == [story.run]
    assert served.get("/runs?state=failed")["items"] == []


@pytest.mark.parametrize(
    "path",
    [
        "/deliveries/x",
        "/repositories/x",
        "/projects/x",
        "/projects/x/revisions",
        "/projects/x/revisions/y",
        "/syncs/x",
        "/runs/x",
        "/runs/x/log",
        "/runs/x/events",
        "/schedules/x",
        "/schedules/x/fires",
        "/notifications/x",
        "/nothing",
    ],
)
def test_what_is_not_there_is_a_problem_of_status_404(served: Api, path: str) -> None:
    response = served.client.get(f"/api/v1{path}")
    assert response.status_code == 404
    assert response.mimetype == "application/problem+json"
    assert response.json is not None
    assert response.json["status"] == 404
    assert response.json["detail"]


@pytest.mark.parametrize(
    ("query", "named"),
    [("limit=0", "limit"), ("limit=many", "limit"), ("projet=x", "projet"), ("state=fialed", "state")],
)
def test_a_query_that_is_not_understood_is_named(served: Api, query: str, named: str) -> None:
    response = served.client.get(f"/api/v1/runs?{query}")
    assert response.status_code == 400
    assert response.json is not None
    assert [error["where"] for error in response.json["errors"]] == [named]
