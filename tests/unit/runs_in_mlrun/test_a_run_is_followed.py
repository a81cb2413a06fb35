"""What MLRun's database says of a run becomes events, a log and an end, each once, whichever service reads it."""

from __future__ import annotations

import pytest

from service.domain.runs import Progress
from service.domain.states import RunState
from service.errors import MlrunAway, MlrunRefused
from service.launchers import EndReason, Job
from service.launchers.mlrun import following, looking
from service.store import jobs
from tests.unit.runs_in_mlrun.conftest import Place, a_job
from tests.waiting import until

# As it is, before tests are made quick.
GONE_S = looking._GONE_S


def test_from_pending_to_its_results(place: Place) -> None:
    uid = place.start()
    until(lambda: "pending" in place.look().reason, "it says what it waits for")
    place.mlrun.becomes(uid, "running", results={"workflow_id": "wf"})
    first = place.mlrun.step("wf", "prep", "completed", results={"rows": 50})
    place.mlrun.step("wf", "train", "running")
    place.until(RunState.RUNNING)
    second = place.mlrun.step("wf", "train", "completed", results={"auc": 0.9})
    place.mlrun.becomes(uid, "completed")
    done = place.until(RunState.SUCCEEDED)
    assert done.results == {"prep": {"rows": 50}, "train-2": {"auc": 0.9}}
    told = [(event["event"], event.get("step")) for event in place.events()]
    assert told[:2] == [("claimed", None), ("started", None)]
    assert told.count(("step.started", "prep")) == 1
    assert told.count(("step.finished", "train-2")) == 1
    assert told[-1] == ("finished", None)
    assert {first, second} <= {event.get("uid") for event in place.events()}


def test_a_service_that_has_just_begun_says_nothing_twice(place: Place) -> None:
    uid = place.start()
    place.mlrun.becomes(uid, "running", results={"workflow_id": "wf"})
    place.mlrun.step("wf", "prep", "completed")
    until(lambda: any(event["event"] == "step.finished" for event in place.events()) or place.look() is None, "a step")
    place.reborn()
    place.mlrun.becomes(uid, "completed")
    place.until(RunState.SUCCEEDED)
    told = [event["event"] for event in place.events()]
    assert told == ["claimed", "started", "step.started", "step.finished", "finished"]


def test_a_workflow_that_failed_names_its_step(place: Place) -> None:
    uid = place.start()
    place.mlrun.step("wf", "train", "error", error="ValueError: no rows\nmore of it")
    place.mlrun.becomes(uid, "error", results={"workflow_id": "wf"}, error="RuntimeError: Workflow main failed")
    failed = place.until(RunState.FAILED)
    assert failed.error is not None
    assert failed.error["message"] == "ValueError: no rows"
    assert failed.error["step"] == "train"


def test_a_source_that_is_broken_says_so(place: Place) -> None:
    uid = place.start()
    place.mlrun.becomes(uid, "error", error="GitCommandError: repository not found")
    assert place.until(RunState.FAILED).reason == "GitCommandError: repository not found"


def test_its_log_is_ours(place: Place) -> None:
    uid = place.start()
    place.mlrun.becomes(uid, "running")
    place.mlrun.logs[uid] = b"first\n"
    until(lambda: place.look() and place.launcher.logs(place.job.id).text, "the beginning of the log")
    place.mlrun.logs[uid] += "zwölf\n".encode()
    place.mlrun.becomes(uid, "completed")
    place.until(RunState.SUCCEEDED)
    until(lambda: place.launcher.logs(place.job.id).complete, "the end of the log")
    assert place.launcher.logs(place.job.id).text == "first\nzwölf\n"
    assert place.launcher.logs(place.job.id, -7).text == "zwölf\n"


def test_a_cancelled_run_is_aborted(place: Place) -> None:
    uid = place.start()
    place.mlrun.becomes(uid, "running")
    place.until(RunState.RUNNING)
    place.launcher.cancel(place.job.id)
    place.until(RunState.CANCELLED)
    assert place.mlrun.aborted == [uid]


def test_an_abort_that_came_too_late_changes_nothing(place: Place) -> None:
    uid = place.start()
    place.mlrun.aborts = False
    place.mlrun.becomes(uid, "running")
    place.until(RunState.RUNNING)
    place.launcher.cancel(place.job.id)
    until(lambda: place.mlrun.aborted, "the abort")
    place.mlrun.becomes(uid, "completed", results={})
    place.until(RunState.SUCCEEDED)


def test_what_was_cancelled_before_it_was_submitted_never_is(place: Place) -> None:
    place.store.write(lambda connection: place.launcher.expect(connection, place.job))
    place.launcher.cancel(place.job.id)
    place.launcher.ensure(place.job)
    [seen] = place.launcher.observe({place.job.id: 0}, 0.2)
    assert seen.ended is EndReason.CANCELLED
    assert place.mlrun.submitted == []


def test_what_is_cancelled_while_its_answer_is_lost_is_found_and_aborted(place: Place) -> None:
    place.mlrun.fails = MlrunAway("no answer", sent=True)
    uid = place.start()
    place.launcher.cancel(place.job.id)
    place.until(RunState.CANCELLED)
    assert place.mlrun.aborted == [uid]


def test_a_run_that_takes_too_long_is_aborted(place: Place) -> None:
    place.job = a_job(timeout_s=0.3)
    uid = place.start()
    place.mlrun.becomes(uid, "running")
    assert place.until(RunState.TIMED_OUT).reason == "it took longer than its timeout"
    assert place.mlrun.aborted == [uid]


def test_a_run_that_somebody_aborts_in_mlrun_is_cancelled(place: Place) -> None:
    place.mlrun.becomes(place.start(), "aborted")
    place.until(RunState.CANCELLED)


def test_a_run_that_somebody_deletes_is_lost(place: Place) -> None:
    uid = place.start()
    del place.mlrun.runs_[uid]
    lost = place.until(RunState.LOST)
    assert lost.reason.startswith(f"MLRun's run {uid} was deleted")
    assert lost.error is not None
    assert lost.error["type"] == "Deleted"


def test_a_run_is_not_believed_to_be_deleted_by_a_server_that_is_not_well(place: Place) -> None:
    uid = place.start()
    place.mlrun.becomes(uid, "running")
    place.until(RunState.RUNNING)
    place.mlrun.unwell = MlrunAway("there is no MLRun API", answer=404, sent=False)
    run = place.mlrun.runs_.pop(uid)
    for _ in range(5):  # longer than what is missing is looked for
        assert place.look().state is RunState.RUNNING
    place.mlrun.runs_[uid] = run
    place.mlrun.unwell = None
    place.mlrun.becomes(uid, "completed")
    place.until(RunState.SUCCEEDED)


def test_a_run_that_is_missing_is_believed_to_be_deleted_after_minutes() -> None:
    assert GONE_S >= 120


def test_what_a_killed_service_did_not_forget_the_next_one_does(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = place.start()
    place.mlrun.becomes(uid, "completed")
    place.until(RunState.SUCCEEDED)
    monkeypatch.setattr(following, "_SWEEP_S", 0.1)
    monkeypatch.setattr(following, "_FORGOTTEN_S", 0.1)
    place.reborn()
    place.launcher.prepare()

    def cleaned() -> bool:
        with place.store.read() as connection:
            row = jobs.get(connection, place.job.id)
        return row.ended is not None and row.document is None

    until(cleaned, "it is forgotten")


def test_an_outage_of_mlrun_says_nothing_about_a_run(place: Place) -> None:
    uid = place.start()
    place.mlrun.becomes(uid, "running")
    place.until(RunState.RUNNING)
    place.mlrun.away = True
    for _ in range(5):
        assert place.look().state is RunState.RUNNING
    place.mlrun.away = False
    place.mlrun.becomes(uid, "completed")
    place.until(RunState.SUCCEEDED)


def test_what_is_done_with_is_forgotten_but_for_its_log(place: Place) -> None:
    uid = place.start()
    place.mlrun.logs[uid] = b"all of it\n"
    place.mlrun.becomes(uid, "completed")
    place.until(RunState.SUCCEEDED)
    place.launcher.clean(place.job.id)

    def cleaned() -> bool:
        with place.store.read() as connection:
            return jobs.not_cleaned(connection, "mlrun", before=place.store.now()) == [] and not jobs.not_ended(
                connection, "mlrun"
            )

    until(cleaned, "it is forgotten")
    assert place.launcher.logs(place.job.id).text == "all of it\n"


def kubeflow(place: Place, version: str) -> str:
    """A workflow of Kubeflow that runs in an MLRun of this version; its runner."""
    place.mlrun.version = version
    place.job = a_job(payload=a_job().payload | {"engine": "kfp"})
    uid = place.start()
    place.mlrun.becomes(uid, "running", results={"workflow_id": "wf"})
    place.until(RunState.RUNNING)
    return uid


def test_a_runner_that_is_aborted_leaves_nothing_in_kubeflow(place: Place) -> None:
    uid = kubeflow(place, "1.12.1")
    place.launcher.cancel(place.job.id)
    place.until(RunState.CANCELLED)
    assert (place.mlrun.aborted, place.mlrun.terminated) == ([uid], ["wf"])


def test_an_older_server_is_asked_to_abort_the_steps_that_run(place: Place) -> None:
    uid = kubeflow(place, "1.9.2")
    done, runs = (place.mlrun.step("wf", name, state) for name, state in (("a", "completed"), ("b", "running")))
    place.launcher.cancel(place.job.id)
    place.until(RunState.CANCELLED)
    assert place.mlrun.aborted == [uid, runs]
    assert place.mlrun.runs_[done]["status"]["state"] == "completed"


def test_a_workflow_of_the_local_engine_ended_with_its_runner(place: Place) -> None:
    place.mlrun.version = "1.12.1"
    uid = place.start()
    place.mlrun.becomes(uid, "running", results={"workflow_id": "wf"})
    place.until(RunState.RUNNING)
    place.mlrun.becomes(uid, "aborted", results={"workflow_id": "wf"})
    place.until(RunState.CANCELLED)
    assert place.mlrun.terminated == []


def test_what_cannot_be_ended_in_kubeflow_now_is_ended_later_and_what_ended_by_itself_is_no_trouble(
    place: Place,
) -> None:
    kubeflow(place, "1.12.1")
    place.mlrun.unending = MlrunAway("MLRun could not (500)", answer=500)
    place.launcher.cancel(place.job.id)
    until(lambda: place.look() and len(place.mlrun.terminated) > 1, "it to be tried again")
    assert place.look().state is RunState.RUNNING
    place.mlrun.unending = MlrunRefused("there is no such workflow", answer=404)
    place.until(RunState.CANCELLED)


TROUBLE = [
    MlrunAway("MLRun could not (500)", answer=500),
    MlrunAway("MLRun did not answer in time", sent=True),
    MlrunRefused("MLRun answered no run", answer=200),
    KeyError("a bug"),
]


@pytest.mark.parametrize("trouble", TROUBLE, ids=repr)
@pytest.mark.parametrize("what", ["untold", "unread"])
def test_a_run_that_mlrun_cannot_tell_of_keeps_no_newer_one_waiting(
    place: Place, what: str, trouble: Exception
) -> None:
    older = place.start()
    getattr(place.mlrun, what)[older] = trouble
    old, place.job = place.job, another()
    place.launcher.ensure(place.job)
    place.launcher.observe({old.id: 0}, 0.2)  # both are followed
    [newer] = [uid for uid in place.mlrun.runs_ if uid != older]
    place.mlrun.becomes(older, "running")
    place.mlrun.becomes(newer, "completed")
    place.until(RunState.SUCCEEDED)
    getattr(place.mlrun, what).clear()
    place.mlrun.becomes(older, "completed")
    place.job, place.progress = old, Progress(state=RunState.STARTING)
    place.until(RunState.SUCCEEDED)


def test_a_server_that_is_not_reached_is_asked_for_no_other_run(place: Place) -> None:
    older = place.start()
    place.mlrun.untold[older] = MlrunAway("MLRun is not reached", sent=False)
    old, place.job = place.job, another()
    place.launcher.ensure(place.job)
    [newer] = [uid for uid in place.mlrun.runs_ if uid != older]
    place.mlrun.becomes(newer, "running")
    place.launcher.observe({old.id: 0}, 0.2)
    for _ in range(3):
        assert place.look().state is RunState.STARTING
    place.mlrun.untold.clear()
    place.until(RunState.RUNNING)


def test_a_log_that_cannot_be_read_holds_up_no_state_no_timeout_and_no_end_for_long(place: Place) -> None:
    place.job = a_job(timeout_s=1.0)
    uid = place.start()
    place.mlrun.unread[uid] = TROUBLE[0]
    place.mlrun.becomes(uid, "running")
    place.until(RunState.RUNNING)
    place.until(RunState.TIMED_OUT)
    assert place.mlrun.aborted == [uid]


def test_what_mlrun_cannot_list_the_steps_of_is_ended_all_the_same(place: Place) -> None:
    place.job = a_job(timeout_s=0.3)
    uid = place.start()
    place.mlrun.unlisted = TROUBLE[0]
    place.mlrun.becomes(uid, "running", results={"workflow_id": "wf"})
    place.launcher.observe({place.job.id: 0}, 0.2)
    until(lambda: place.mlrun.aborted, "the abort")
    place.mlrun.unlisted = None
    place.until(RunState.TIMED_OUT)


def another() -> Job:
    payload = a_job().payload
    return a_job(id="02run", payload=payload | {"source_url": payload["source_url"].replace("01run", "02run")})
