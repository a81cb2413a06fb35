"""Whatever happens between us and MLRun, a workflow is submitted once, and what cannot be known is called lost."""

from __future__ import annotations

import threading

import pytest

from service.domain.states import RunState
from service.errors import LaunchFailed, MlrunAway, MlrunRefused
from service.launchers import EndReason, Life
from service.launchers.mlrun.submitting import SUBMITTING
from service.store import jobs
from tests.unit.runs_in_mlrun.conftest import Place, a_job


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
