"""The way of a job that meets no trouble, on a real control plane."""

from __future__ import annotations

import threading

import pytest

from service import limits
from service.launchers import EndReason, JobKind, Life
from service.launchers.kubernetes import errands

pytestmark = [pytest.mark.kubernetes, pytest.mark.runner]


def test_a_job_runs_to_its_end(stage):
    job = stage.start("print('hello'); emit('step.started', step='one')")
    told = stage.follow(job)
    assert told.kinds == ["claimed", "step.started", "finished"]
    assert told.end == (EndReason.EXITED, 0)
    assert "hello" in stage.launcher.logs(job).text
    assert stage.launcher.logs(job).complete


def test_a_load_leaves_its_result(stage):
    job = stage.start("json.dump({'name': 'fraud'}, open(folder + '/result.json', 'w'))", kind=JobKind.LOAD)
    stage.follow(job)
    assert stage.launcher.result(job) == {"name": "fraud"}


def test_told_often_and_by_many_it_starts_once(stage):
    job = stage.job("print('once')")
    others = [stage.another() for _ in range(3)]
    threads = [threading.Thread(target=launcher.ensure, args=(job,)) for launcher in (*others, *others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stage.launcher.ensure(job)
    told = stage.follow(job.id)
    stage.launcher.ensure(job)
    assert told.kinds == ["claimed", "finished"]
    assert len(stage.jobs()) == 1
    assert len(stage.pods(job.id)) == 1


def test_a_job_that_nobody_knows_is_unknown(stage):
    (seen,) = stage.launcher.observe({"nobody": 0}, 0.1)
    assert seen.life is Life.UNKNOWN


def test_the_secret_belongs_to_the_job_and_goes_when_it_is_cleaned(stage):
    job = stage.start("")
    (made,) = stage.jobs()
    (secret,) = [one for one in stage.listed("secrets") if one["metadata"]["name"] == f"gitops-{job}"]
    stage.wait(lambda: stage.owner_of_secret(job) == made["metadata"]["uid"])
    assert set(secret["data"]) == {"id", "url", "token"}
    told = stage.follow(job)
    assert "ttlSecondsAfterFinished" not in stage.jobs()[0]["spec"]
    stage.launcher.clean(job)
    stage.wait(lambda: stage.jobs()[0]["spec"].get("ttlSecondsAfterFinished") == 600)
    stage.wait(lambda: not [one for one in stage.listed("secrets") if one["metadata"]["name"] == f"gitops-{job}"])
    (seen,) = stage.launcher.observe({job: told.position}, 5)
    assert (seen.life, seen.position, seen.ended) == (Life.GONE, told.position, EndReason.EXITED)


def test_an_ended_job_that_is_not_kept_goes_at_once(make_stage):
    stage = make_stage(keep=0)
    job = stage.start("")
    stage.follow(job)
    stage.launcher.clean(job)
    stage.wait(lambda: not stage.jobs())


def test_a_job_that_is_cancelled_ends_and_leaves_nothing(stage):
    job = stage.start("print('begun', flush=True); time.sleep(600)")
    told = stage.follow(job, until="claimed")
    stage.wait(lambda: "begun" in stage.launcher.logs(job).text)
    stage.launcher.cancel(job, EndReason.SUPERSEDED)
    stage.follow(job, told=told)
    assert told.end[0] is EndReason.SUPERSEDED
    assert stage.launcher.logs(job).complete
    stage.wait(lambda: not stage.jobs())


def test_a_job_that_is_cancelled_before_it_starts_never_does(stage):
    job = stage.job("")
    stage.launcher.cancel(job.id)
    stage.launcher.ensure(job)
    assert stage.follow(job.id).end[0] is EndReason.CANCELLED
    assert not stage.jobs()


def test_a_job_that_is_cancelled_between_expecting_and_starting_it_never_does(stage):
    job = stage.job("")
    assert stage.callee.store.write(lambda connection: stage.launcher.expect(connection, job))
    stage.launcher.cancel(job.id)
    stage.launcher.ensure(job, is_new=True)
    assert stage.follow(job.id).end[0] is EndReason.CANCELLED
    stage.wait(lambda: not stage.jobs())


def test_a_job_is_new_once(stage):
    job = stage.job("")
    assert [stage.callee.store.write(lambda c: stage.launcher.expect(c, job)) for _ in range(2)] == [True, False]


def test_a_job_that_takes_too_long_is_ended(stage):
    job = stage.start("time.sleep(600)", timeout_s=2.0)
    told = stage.follow(job)
    assert told.end[0] is EndReason.TIMED_OUT
    assert told.last.detail == "it took longer than its timeout"


def test_the_next_service_follows_what_the_last_one_started(stage):
    job = stage.start("print('one', flush=True); time.sleep(4); print('two')")
    told = stage.follow(job, until="claimed")
    stage.wait(lambda: "one" in stage.launcher.logs(job).text)
    stage.launcher.close()
    stage.launcher = stage.another()
    stage.launcher.ensure(stage.job(id=job))
    told = stage.follow(job, told=told)
    assert told.kinds == ["claimed", "finished"]
    assert told.end == (EndReason.EXITED, 0)
    text = stage.launcher.logs(job).text
    assert (text.count("one"), text.count("two")) == (1, 1)


def test_what_a_killed_service_did_not_let_go_its_successor_does(stage, monkeypatch):
    monkeypatch.setattr(errands, "_FORGOTTEN_S", 0.0)
    monkeypatch.setattr(errands, "_SWEEP_S", 0.0)
    job = stage.start("")
    stage.follow(job)
    stage.wait(lambda: stage.jobs()[0]["spec"].get("ttlSecondsAfterFinished") == 600)


def test_of_an_old_load_nothing_is_kept_and_of_an_old_run_its_log(stage, monkeypatch):
    monkeypatch.setattr(errands, "_SWEEP_S", 0.0)
    monkeypatch.setattr(limits, "POD_LOADS_KEPT_S", 0.0)
    run, load = stage.start("print('a run')"), stage.start("print('a load')", kind=JobKind.LOAD)
    for job in (run, load):
        stage.follow(job)
        assert stage.launcher.logs(job).text
        stage.launcher.clean(job)
    stage.wait(lambda: stage.row(load) is None)
    assert not stage.launcher.logs(load).text
    stage.wait(lambda: stage.jobs()[0]["spec"].get("ttlSecondsAfterFinished") == 600)
    assert "a run" in stage.launcher.logs(run).text
