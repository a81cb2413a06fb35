from __future__ import annotations

from service.domain.states import NotificationState, RunState
from service.store import deliveries, notifications, runs, work
from tests.integration.api.conftest import Api
from tests.integration.api.rows import tell


def audited(served: Api) -> list[tuple[str, str, str]]:
    return [(e["actor"], e["action"], e["target"]) for e in served.get("/audit")["items"]]


def test_a_sync_that_is_asked_for_is_a_delivery_and_a_fetch(served: Api) -> None:
    made = served.post("/repositories/fraud/sync", {"ref": "main"})["delivery"]
    with served.store.read() as conn:
        row = deliveries.get(conn, made)
        assert (row.forge, row.ref) == ("api", "refs/heads/main")
        assert work.get(conn, "fetch", "fraud") is not None
    assert audited(served) == [("loopback", "repository.sync", "fraud")]
    assert served.get("/audit")["items"][0]["data"] == {"ref": "main"}


def test_a_project_is_synced_by_its_own_ref(served: Api) -> None:
    tell(served.store)
    made = served.post("/projects/fraud/sync")["delivery"]
    assert served.get(f"/deliveries/{made}")["ref"] == "refs/heads/main"
    assert audited(served)[0] == ("loopback", "project.sync", "fraud")


def test_a_plan_that_is_asked_for_is_work_and_once_the_same_while_it_waits(served: Api) -> None:
    tell(served.store)
    response = served.client.post("/api/v1/projects/fraud/plan", json={"ref": "v1"})
    assert response.status_code == 202
    assert response.json is not None
    shown = served.client.get(response.headers["Location"]).json
    assert shown is not None
    assert (shown["id"], shown["state"], shown["asked"]) == (response.json["plan"], "queued", "v1")
    with served.store.read() as conn:
        assert work.is_open(conn, "plan", shown["id"])
    assert served.post("/projects/fraud/plan", {"ref": "v1"}) == response.json
    assert served.post("/projects/fraud/plan") != response.json
    assert audited(served)[0] == ("loopback", "project.plan", "fraud")
    served.post("/projects/none/plan", status=404)
    served.post("/projects/fraud/plan", {"ref": ""}, status=400)
    assert served.client.get(f"/api/v1/projects/churn/plans/{shown['id']}").status_code == 404


def test_a_run_that_is_asked_for_is_queued(served: Api) -> None:
    tell(served.store)
    response = served.client.post("/api/v1/projects/fraud/runs", json={"workflow": "main", "arguments": {"rows": 7}})
    assert response.status_code == 202
    assert response.json is not None
    run = served.client.get(response.headers["Location"]).json
    assert run is not None
    assert (run["id"], run["state"], run["arguments"]) == (response.json["run"], "queued", {"rows": 7})


def test_an_idempotency_key_makes_one_run_of_two_requests(served: Api) -> None:
    tell(served.store)
    body = {"workflow": "main"}
    first = served.post("/projects/fraud/runs", body, headers={"Idempotency-Key": "abc"})
    second = served.post("/projects/fraud/runs", body, headers={"Idempotency-Key": "abc"})
    third = served.post("/projects/fraud/runs", body)
    assert first == second
    assert third != first


def test_an_unknown_workflow_is_answered_with_the_known_ones(served: Api) -> None:
    tell(served.store)
    told = served.post("/projects/fraud/runs", {"workflow": "mian"}, status=404)
    assert "main" in told["mend"]


def test_a_run_is_cancelled_and_then_repeated(served: Api) -> None:
    story = tell(served.store)
    assert served.post(f"/runs/{story.run}/retry", status=409)["mend"]
    served.post(f"/runs/{story.run}/cancel")
    with served.store.read() as conn:
        assert runs.get(conn, story.run).cancel == "cancelled"
    served.store.write(
        lambda conn: runs.transition(conn, story.run, RunState.CANCELLED, expected=[RunState.RUNNING], now=1.0)
    )
    assert "ended" in served.post(f"/runs/{story.run}/cancel", status=409)["mend"]
    again = served.post(f"/runs/{story.run}/retry")["run"]
    assert served.get(f"/runs/{again}")["retry_of"] == story.run
    assert [action for _, action, _ in audited(served)][:2] == ["run.retry", "run.cancel"]


def test_a_delivery_is_handled_again_as_a_new_one(served: Api) -> None:
    story = tell(served.store)
    made = served.post(f"/deliveries/{story.delivery}/redeliver")["delivery"]
    assert made != story.delivery
    assert served.get(f"/deliveries/{made}")["after"] == "a" * 40


def test_a_notification_waits_again_after_resend(served: Api) -> None:
    story = tell(served.store)
    served.store.write(lambda conn: notifications.mark_failed(conn, story.notification, reason="gone"))
    served.post(f"/notifications/{story.notification}/resend")
    with served.store.read() as conn:
        assert notifications.get(conn, story.notification).state == NotificationState.PENDING
        assert work.get(conn, "notify", "console") is not None


def test_a_handler_is_tested_at_once(served: Api, capsys) -> None:
    assert served.post("/handlers/console/test", status=200) == {"handler": "console"}
    assert "test message" in capsys.readouterr().out
    assert served.post("/handlers/nobody/test", status=404)["mend"]


def test_what_is_refused_before_it_begins_is_not_audited(served: Api) -> None:
    served.post("/runs/none/cancel", status=404)
    served.post("/projects/none/runs", {"workflow": "main"}, status=404)
    assert audited(served) == []
