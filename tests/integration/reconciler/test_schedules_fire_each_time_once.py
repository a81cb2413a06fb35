"""Due times become runs: each once, of what is in force then, and one schedule's trouble is its own."""

from __future__ import annotations

import time

from sqlalchemy import Connection

from service.store import schedules, work
from service.store.models import schedules as table
from tests.integration.reconciler.stage import Stage, gitops_yaml, project_yaml
from tests.waiting import until

NIGHT = {"main": None, "night": "0 2 * * *"}


def slept(stage: Stage, days: float, name: str = "night") -> str:
    """As if the service had slept for so long; the schedule's id."""
    (found,) = [s for s in stage.get("/schedules")["items"] if s["name"] == name]
    since = time.time() - days * 86400
    values = {"evaluated_until": since, "next_due": since}
    stage.store.write(lambda conn: conn.execute(table.update().where(table.c.id == found["id"]).values(values)))
    return str(found["id"])


def fire(stage: Stage, *ids: str) -> None:
    now = stage.store.now()

    def change(conn: Connection) -> None:
        for one in ids:
            work.want(conn, "fire", one, now=now)

    stage.store.write(change)
    stage.settle(but=())


def fires(stage: Stage, schedule: str) -> list[str]:
    with stage.store.read() as conn:
        return [str(one.state) for one in schedules.page_fires(conn, schedule)[0]]


def test_what_was_due_while_the_service_slept_runs_once_and_the_rest_is_told_as_missed(stage: Stage) -> None:
    commit = stage.push({"project.yaml": project_yaml(workflows=NIGHT)})
    stage.settle(but=())
    schedule = slept(stage, 3.001)
    fire(stage, schedule, schedule)
    fire(stage, schedule)
    assert fires(stage, schedule) == ["fired", "missed", "missed"]
    assert [run.workflow for run in stage.runs()] == ["main", "night"]
    assert {run.commit for run in stage.runs()} == {commit}


def test_a_fire_runs_the_revision_in_force_at_that_moment(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml(workflows=NIGHT)})
    stage.settle(but=())
    second = stage.push({"project.yaml": project_yaml(workflows=NIGHT, params={"rows": 2})})
    stage.settle(but=())
    stage.push({"project.yaml": project_yaml(workflows=NIGHT, raises="a mistake")})
    until(lambda: stage.states()[-1] == "failed", "the failure")
    fire(stage, slept(stage, 1.001))
    (run,) = [run for run in stage.runs() if run.workflow == "night"]
    assert run.commit == second
    assert run.state == "succeeded"


def test_a_schedule_changed_by_a_push_first_fires_what_was_due_by_the_old_rule(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml(workflows=NIGHT)})
    stage.settle(but=())
    schedule = slept(stage, 1.001)
    stage.push({"project.yaml": project_yaml(workflows={"main": None, "night": "0 5 * * *"})})
    stage.settle(but=())
    fire(stage, schedule)
    assert fires(stage, schedule) == ["fired"]
    assert stage.crons() == {"night": "0 5 * * *"}


def test_a_schedule_taken_out_by_a_push_fires_no_more(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml(workflows=NIGHT)})
    stage.settle(but=())
    (found,) = stage.get("/schedules")["items"]
    stage.push({"project.yaml": project_yaml()})
    stage.settle(but=())
    fire(stage, found["id"])
    assert stage.crons() == {}
    assert fires(stage, found["id"]) == []


def test_a_sleep_of_years_of_minutes_does_not_hold_up_the_writer(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml(workflows={"main": None, "night": "* * * * *"})})
    stage.settle(but=())
    schedule = slept(stage, 10 * 365)
    began = time.monotonic()
    fire(stage, schedule)
    assert time.monotonic() - began < 8
    assert len([run for run in stage.runs() if run.workflow == "night"]) in (1, 2)


def test_a_schedule_that_cannot_be_read_any_more_keeps_no_other_from_firing(stage: Stage) -> None:
    declared = gitops_yaml(
        {
            "schedules": {
                "a": {"workflow": "main", "cron": "* * * * *", "timezone": "Europe/Berlin"},
                "b": {"workflow": "main", "cron": "* * * * *"},
            }
        }
    )
    stage.push({".gitops.yaml": declared, "project.yaml": project_yaml()})
    stage.settle(but=())
    lost = table.update().where(table.c.name == "a").values(timezone="Mars/Olympus", next_due=0.0)
    stage.store.write(lambda conn: conn.execute(lost))
    stage.stop()
    stage.start()
    healthy = slept(stage, 0.01, "b")
    until(lambda: fires(stage, healthy), "the healthy one to fire without being asked")
    stage.push({".gitops.yaml": gitops_yaml({"schedules": {}})})
    until(lambda: stage.crons() == {}, "both to be taken out")
