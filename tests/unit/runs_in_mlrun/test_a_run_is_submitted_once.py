"""Whatever happens between us and MLRun, a workflow is submitted once, and what cannot be known is called lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import pytest
from sqlalchemy import Connection

from service import limits
from service.domain.states import RunState
from service.errors import LaunchFailed, LaunchHeld, MlrunAway, MlrunRefused
from service.launchers import EndReason, Life
from service.launchers.mlrun import MlrunLauncher, following, submitting
from service.launchers.mlrun.submitting import SUBMITTING
from service.mlrun_api import MlrunApi
from service.settings import Settings
from service.store import Store, jobs, runs
from tests.integration.mlrun_target.recorder import Recorder
from tests.peers.memory_mlrun import MemoryMlrun
from tests.unit.runs_in_mlrun.conftest import Place, a_job
from tests.unit.store.rows import run
from tests.waiting import until


def _lost_answer() -> MlrunAway:
    return MlrunAway("MLRun did not answer in time", sent=True)


def test_what_is_submitted_names_image_source_and_arguments(place: Place) -> None:
    place.start()
    [(project, workflow, request)] = place.mlrun.submitted
    assert (project, workflow) == ("demo", "main")
    assert request["source"] == place.job.payload["source_url"]
    assert request["spec"]["image"] == "docker.io/mlrun/mlrun-kfp:1.9.2"
    assert request["spec"]["path"] == "workflow.py"
    # A nought given here must not give way to what the saved project says.
    assert request["arguments"] == {"rows": 0}


def test_told_again_and_again_it_is_submitted_once(place: Place) -> None:
    threads = [threading.Thread(target=place.launcher.ensure, args=(place.job,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    place.reborn()
    place.launcher.ensure(place.job)
    assert len(place.mlrun.submitted) == 1


def test_a_mlrun_that_is_away_says_nothing_and_is_asked_again(place: Place) -> None:
    place.mlrun.away = True
    with pytest.raises(MlrunAway):
        place.launcher.ensure(place.job)
    place.mlrun.away = False
    place.launcher.ensure(place.job)
    assert len(place.mlrun.runs_) == 1


def test_a_submit_that_never_left_is_not_in_doubt(place: Place) -> None:
    place.mlrun.fails, place.mlrun.makes = MlrunAway("refused the connection", sent=False), False
    with pytest.raises(MlrunAway):
        place.launcher.ensure(place.job)
    place.mlrun.makes = True
    place.launcher.ensure(place.job)
    assert len(place.mlrun.runs_) == 1


def test_an_answer_that_was_lost_is_looked_up(place: Place) -> None:
    place.mlrun.fails = _lost_answer()
    uid = place.start()
    place.mlrun.becomes(uid, "running")
    place.until(RunState.RUNNING)
    assert place.events()[0]["uid"] == uid
    assert len(place.mlrun.submitted) == 1


def test_an_answer_that_was_lost_is_looked_up_by_the_next_service(place: Place) -> None:
    place.mlrun.fails = _lost_answer()
    uid = place.start()
    place.reborn()
    place.launcher.ensure(place.job)
    place.mlrun.becomes(uid, "completed")
    place.until(RunState.SUCCEEDED)
    assert len(place.mlrun.submitted) == 1


def test_a_service_that_ended_before_it_submitted_leaves_a_run_that_is_lost(place: Place) -> None:
    place.store.write(lambda connection: place.launcher.expect(connection, place.job))
    place.store.write(
        lambda connection: jobs.take(connection, place.job.id, SUBMITTING, "being submitted", now=place.store.now())
    )
    place.launcher.ensure(place.job)
    lost = place.until(RunState.LOST)
    assert "no run of it is in MLRun's database" in lost.reason
    assert place.mlrun.submitted == []


def test_another_run_of_the_same_workflow_is_not_taken_for_ours(place: Place) -> None:
    other = a_job().payload["source_url"].replace("01run", "01other")
    place.mlrun.make("demo", {"run_name": "workflow-runner-main", "source": other, "spec": {"name": "main"}})
    place.mlrun.fails, place.mlrun.makes = _lost_answer(), False
    place.launcher.ensure(place.job)
    assert place.until(RunState.LOST).error == {"type": "Lost", "message": place.progress.reason}


def test_two_runs_with_our_source_are_ambiguous_and_the_run_is_lost(place: Place) -> None:
    place.mlrun.fails = _lost_answer()
    place.mlrun.make("demo", {"run_name": "x", "source": place.job.payload["source_url"], "spec": {"name": "main"}})
    place.launcher.ensure(place.job)
    assert "2 runs in MLRun have its source" in place.until(RunState.LOST).reason


def test_while_mlrun_is_away_a_doubt_stays_one(place: Place) -> None:
    place.mlrun.fails = _lost_answer()
    uid = place.start()
    place.mlrun.away = True
    for _ in range(10):  # longer than a doubt lasts
        assert place.look().state is RunState.STARTING
    place.mlrun.away = False
    place.mlrun.becomes(uid, "completed")
    place.until(RunState.SUCCEEDED)


def test_a_refusal_ends_the_run_and_says_why(place: Place) -> None:
    place.mlrun.fails, place.mlrun.makes = MlrunRefused("MLRun said no: no such image", answer=400), False
    with pytest.raises(MlrunRefused):
        place.launcher.ensure(place.job)
    place.launcher.ensure(place.job)
    [seen] = place.launcher.observe({place.job.id: 0}, 0.2)
    assert (seen.life, seen.ended) == (Life.GONE, EndReason.NOT_STARTED)
    assert "no such image" in seen.detail
    assert len(place.mlrun.submitted) == 1


def test_a_refusal_of_what_was_begun_all_the_same_is_followed(place: Place) -> None:
    place.mlrun.fails = MlrunRefused("MLRun said no, too late", answer=400)
    uid = place.start()
    place.mlrun.becomes(uid, "completed")
    place.until(RunState.SUCCEEDED)


def test_a_yes_that_a_proxy_made_nonsense_of_is_looked_up(place: Place) -> None:
    """The look-up meets the same proxy, until it is mended."""
    place.mlrun.fails = place.mlrun.unlisted = MlrunRefused("answered no JSON object", answer=200)
    uid = place.start()
    for _ in range(3):
        assert place.look().state is RunState.STARTING
    place.mlrun.unlisted = None
    place.mlrun.becomes(uid, "completed")
    place.until(RunState.SUCCEEDED)
    assert len(place.mlrun.submitted) == 1


def test_a_yes_that_a_proxy_made_nonsense_of_is_lost_where_no_run_is_found(place: Place) -> None:
    place.mlrun.fails, place.mlrun.makes = MlrunRefused("answered no JSON object", answer=200), False
    place.launcher.ensure(place.job)
    place.until(RunState.LOST)


def test_a_no_whose_look_up_fails_stays_in_doubt(place: Place) -> None:
    place.mlrun.fails = MlrunRefused("MLRun said no, too late", answer=400)
    place.mlrun.unlisted = MlrunAway("MLRun could not (500)", answer=500)
    uid = place.start()
    place.mlrun.unlisted = None
    place.mlrun.becomes(uid, "completed")
    place.until(RunState.SUCCEEDED)


def test_a_no_to_what_is_there_twice_is_ambiguous_and_the_run_is_lost(place: Place) -> None:
    place.mlrun.fails = MlrunRefused("MLRun said no, too late", answer=400)
    place.mlrun.make("demo", {"run_name": "x", "source": place.job.payload["source_url"], "spec": {"name": "main"}})
    place.launcher.ensure(place.job)
    assert "2 runs in MLRun have its source" in place.until(RunState.LOST).reason


def test_what_was_never_sent_is_not_in_doubt(place: Place) -> None:
    place.mlrun.fails, place.mlrun.makes = MlrunRefused("'..' is no name of anything in MLRun"), False
    with pytest.raises(MlrunRefused):
        place.launcher.ensure(place.job)
    [seen] = place.launcher.observe({place.job.id: 0}, 0.2)
    assert seen.ended is EndReason.NOT_STARTED


def test_an_older_server_is_not_let_make_a_schedule_of_it(place: Place) -> None:
    place.mlrun.version = "1.5.2"
    place.start()
    assert place.mlrun.submitted[0][1] == "gitops-01run"
    assert place.mlrun.submitted[0][2]["spec"]["name"] == "main"


@pytest.mark.parametrize(
    ("version", "engine", "why"), [("1.8.0", "kfp", "does not wait"), ("1.5.2", "local", "selector")]
)
def test_what_a_server_would_pass_over_is_refused(place: Place, version: str, engine: str, why: str) -> None:
    from service.domain.projects import RunnerRule

    place.mlrun.version = version
    selecting = RunnerRule(node_selector={"pool": "cpu"} if why == "selector" else {})
    job = a_job(payload={**a_job().payload, "engine": engine}, runner=selecting)
    with pytest.raises(LaunchFailed, match=why) as refused:
        place.launcher.ensure(job)
    assert not refused.value.retry
    assert place.mlrun.submitted == []


def _stopped_before_it_is_sent(place: Place, monkeypatch: pytest.MonkeyPatch, until_then: Callable[[], object]) -> None:
    """The process is held up after it took the run, and wakes."""
    monkeypatch.setattr(submitting, "point", lambda name: until_then() if name == "mlrun.before-submit" else None)


def test_a_process_that_wakes_submits_nothing_that_was_called_lost(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stopped_before_it_is_sent(
        place,
        monkeypatch,
        lambda: place.store.write(
            lambda connection: jobs.end(connection, place.job.id, EndReason.EXITED, now=place.store.now())
        ),
    )
    place.launcher.ensure(place.job)
    assert place.mlrun.submitted == []


def test_what_is_to_be_cancelled_by_then_is_not_submitted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    _stopped_before_it_is_sent(place, monkeypatch, lambda: place.launcher.cancel(place.job.id))
    place.launcher.ensure(place.job)
    assert place.mlrun.submitted == []
    [seen] = place.launcher.observe({place.job.id: 0}, 0.2)
    assert seen.ended is EndReason.CANCELLED


def test_a_process_that_wakes_after_the_time_for_a_submit_sends_nothing_and_the_run_is_still_to_be_submitted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Recorder() as recorder:
        api = MlrunApi(Settings.model_validate({"mlrun": {"api": recorder.url}}))
        api.server()
        launcher = MlrunLauncher(store, api)
        monkeypatch.setattr(limits, "SUBMIT_TIMEOUT_S", 0.1)
        pause = threading.Event()
        monkeypatch.setattr(submitting, "point", lambda name: pause.wait(0.2))
        with pytest.raises(MlrunAway) as away:
            launcher.ensure(a_job())
        assert not away.value.sent
        assert recorder.writes == []
        with store.read() as connection:
            assert jobs.get(connection, "01run").claimer is None
        launcher.close()
        api.close()


def test_what_keeps_a_run_from_being_submitted_leaves_it_to_be_asked_again(store: Store, quick: None) -> None:
    held = [LaunchHeld("its project is being saved")]

    def may_submit(_: Connection, run: str) -> None:
        assert run == "01run"
        if held:
            raise held.pop()

    mlrun = MemoryMlrun()
    launcher = MlrunLauncher(store, cast(MlrunApi, mlrun), may_submit)
    with pytest.raises(LaunchHeld):
        launcher.ensure(a_job())
    assert mlrun.submitted == []
    launcher.ensure(a_job())
    assert len(mlrun.submitted) == 1
    launcher.close()


def test_a_lost_run_that_turns_up_is_aborted_and_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.mlrun.fails, place.mlrun.makes = _lost_answer(), False
    known = run(id=place.job.id, launcher="mlrun", state=RunState.STARTING)
    place.store.write(lambda connection: runs.add(connection, known))
    place.launcher.ensure(place.job)
    lost = place.until(RunState.LOST)
    place.store.write(
        lambda connection: runs.end(connection, known.id, RunState.LOST, reason=lost.reason, now=place.store.now())
    )
    place.launcher.clean(place.job.id)
    monkeypatch.setattr(following, "_SWEEP_S", 0.1)
    place.reborn()  # whoever looks next
    place.launcher.prepare()
    uid = place.mlrun.make("demo", place.mlrun.submitted[0][2])

    def reason() -> str:
        with place.store.read() as connection:
            return runs.get(connection, known.id).reason

    until(lambda: uid in reason(), "it to be found")
    assert f"{uid} (aborted)" in reason()
    assert lost.reason in reason()
    assert place.mlrun.aborted == [uid]
    monkeypatch.setattr(following, "_FORGOTTEN_S", 0.1)

    def forgotten() -> bool:
        with place.store.read() as connection:
            return jobs.get(connection, known.id).document is None

    until(forgotten, "what it was to do to be forgotten")
    assert place.mlrun.aborted == [uid]
