"""Builds that fail, are cut off, or whose answer is lost: each is asked for once, and what came of it reaches the runs."""

from __future__ import annotations

import pytest

from service import limits
from service.reconciler import build
from service.store import image_builds, work
from tests.integration.mlrun_images.stage import Images, files
from tests.integration.reconciler.stage import project_yaml
from tests.waiting import until

pytestmark = [pytest.mark.runners, pytest.mark.slow]

LOG = "Collecting nonesuch\nERROR: No matching distribution found for nonesuch\n"
BUILD, STATUS = "/build/function", "/build/status"


def test_a_failed_build_fails_the_runs_that_wait_with_the_end_of_its_log(stage: Images) -> None:
    stage.mlrun.builders("error", LOG)
    stage.push(files(rules=["main", "other"]))
    until(lambda: [run.state for run in stage.runs()] == ["failed", "failed"], "both runs to fail")
    for run in stage.runs():
        assert run.error is not None
        assert run.error["type"] == "ImageNotBuilt"
        assert "its builder ended with error" in run.error["message"]
        assert "No matching distribution found for nonesuch" in run.error["traceback"]
    assert len(stage.asked()) == 1
    assert stage.submits() == []
    until(lambda: stage.builders() == [], "the builder's function to be gone from MLRun")


def test_it_is_built_anew_by_a_retry_and_by_the_next_push_and_by_nothing_else(stage: Images) -> None:
    stage.mlrun.builders("error", LOG)
    stage.push(files())
    stage.until("failed")
    until(lambda: stage.builders() == [], "all to be tidied up")
    stage.settle(but=())
    assert len(stage.asked()) == 1
    stage.ask(f"/runs/{stage.runs()[0].id}/retry")
    until(lambda: [run.state for run in stage.runs()] == ["failed", "failed"], "the retry to fail too")
    assert len(stage.asked()) == 2
    stage.mlrun.builders("ready")
    stage.push({"w.py": "print(1)"})
    stage.until("running")
    assert len(stage.asked()) == 3
    assert stage.build().tries == 1


def test_what_mlrun_refuses_is_the_runs_reason(stage: Images) -> None:
    stage.mlrun.fail(method="POST", path=BUILD, status=400, body='{"detail": {"reason": "runtime error: no registry"}}')
    stage.push(files())
    run = stage.until("failed")
    assert "runtime error: no registry" in run["error"]["message"]
    assert len(stage.asked()) == 1


def test_an_mlrun_that_does_not_say_how_it_stands_is_given_up_before_anything_was_asked(
    stage: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_REFUSED_S", 0.1)
    stage.mlrun.fail(method="GET", path=STATUS, status=403, body='{"detail": {"reason": "no right to look"}}', times=0)
    stage.push(files())
    run = stage.until("failed")
    assert "no right to look" in run["error"]["message"]
    assert stage.asked() == []


def test_one_that_says_no_for_a_while_in_the_middle_of_a_build_fails_nothing(
    stage: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_REFUSED_S", 0.1)
    monkeypatch.setattr(limits, "BUILD_DOUBT_S", 0.0)
    stage.mlrun.builders("running")
    stage.push(files())
    stage.waits("running")
    stage.mlrun.fail(method="GET", path=STATUS, status=403, body='{"detail": {"reason": "a proxy says"}}', times=0)
    until(lambda: "a proxy says" in stage.newest()["reason"], "it to be the reason")
    stage.mlrun.heal()
    stage.mlrun.builders("ready")
    stage.until("running")
    assert len(stage.asked()) == 1
    assert stage.build().tries == 1


@pytest.mark.parametrize(
    "answer",
    [{"drop": True}, {"status": 502, "body": "bad gateway"}, {"status": 200, "body": "<html>Sign in</html>"}],
    ids=["none", "a gateway's", "a page to sign in"],
)
def test_a_build_whose_answer_is_lost_is_looked_up(stage: Images, answer: dict[str, object]) -> None:
    stage.mlrun.builders("running")
    stage.mlrun.fail(method="POST", path=BUILD, after=True, **answer)
    stage.push(files())
    stage.waits("MLRun builds it: running")
    stage.mlrun.builders("ready")
    stage.until("running")
    assert len(stage.asked()) == 1


def test_a_build_that_never_arrived_is_asked_for_again_after_a_while(
    stage: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BUILD_DOUBT_S", 1.0)
    stage.mlrun.fail(method="POST", path=BUILD, drop=True)
    stage.push(files())
    stage.until("running")
    assert len(stage.asked()) == 2


def test_one_that_never_arrives_is_given_up(stage: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUILD_DOUBT_S", 0.5)
    stage.mlrun.fail(method="POST", path=BUILD, drop=True, times=0)
    stage.push(files())
    run = stage.until("failed")
    assert f"asked for it {limits.BUILD_TRIES} times and has no builder" in run["error"]["message"]
    assert len(stage.asked()) == limits.BUILD_TRIES


def test_a_build_without_an_end_is_given_up(stage: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.mlrun.builders("running", "Collecting everything\n")
    stage.push(files())
    stage.waits("running")
    monkeypatch.setattr(limits, "BUILD_TIMEOUT_S", 0.0)
    run = stage.until("failed")
    assert "did not build it within" in run["error"]["message"]
    assert run["error"]["traceback"] == "Collecting everything"
    until(lambda: stage.builders() == [], "the builder's function to be gone from MLRun")


def test_an_mlrun_that_is_away_is_waited_for(stage: Images) -> None:
    stage.mlrun.builders("running")
    stage.push(files())
    stage.waits("running")
    stage.mlrun.fail(path="/build/status", status=503, times=2)
    until(lambda: "503" in stage.newest()["reason"], "the outage to be the reason")
    stage.mlrun.builders("ready")
    stage.until("running")
    assert len(stage.asked()) == 1


def test_the_next_service_goes_on_with_a_build_that_goes_on(stage: Images) -> None:
    stage.mlrun.builders("running", "Collecting iniconfig\n")
    stage.push(files())
    stage.waits("running")
    stage.stop()
    stage.mlrun.builders("ready", "Collecting iniconfig\nPushed\n")
    stage.start()
    stage.until("running")
    assert len(stage.asked()) == 1
    assert stage.build().log == "Collecting iniconfig\nPushed\n"


@pytest.mark.parametrize("where", ["build.before-begin", "build.after-begin", "build.ended", "build.tidied"])
def test_a_step_that_ends_at_any_line_is_done_again(stage: Images, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    passed: list[str] = []

    def dies(name: str) -> None:
        passed.append(name)
        if name == where and passed.count(name) == 1:
            raise RuntimeError(f"it ended at {name}")

    monkeypatch.setattr(limits, "BUILD_DOUBT_S", 1.0)
    monkeypatch.setattr(build, "point", dies)
    stage.push(files())
    stage.until("running")
    until(lambda: stage.builders() == [], "the builder's function to be gone from MLRun")
    stage.settle(but=("watch", "launch"))
    assert where in passed
    assert len(stage.asked()) == 1
    assert len(stage.submits()) == 1


def test_a_function_that_cannot_be_removed_holds_no_run_up(stage: Images) -> None:
    stage.mlrun.fail(method="DELETE", path="gitops-image", status=500, times=0)
    stage.push(files())
    stage.until("running")
    until(lambda: stage.mlrun.requests("DELETE"), "it to be tried")
    assert stage.build().leftover
    stage.mlrun.heal()
    with stage.store.read() as conn:
        waiting = work.get(conn, image_builds.KIND, image_builds.work_key("fraud", stage.build().key))
    assert waiting is not None and waiting.wanted > waiting.done


def test_a_cancelled_run_waits_no_more_and_its_build_is_there_for_the_next(stage: Images) -> None:
    stage.mlrun.builders("running")
    stage.push(files())
    run = stage.waits("running")
    stage.ask(f"/runs/{run['id']}/cancel")
    stage.until("cancelled")
    stage.mlrun.builders("ready")
    stage.push({"project.yaml": project_yaml("fraud", {"main": None}, params={"rows": 2})})
    stage.until("running")
    assert len(stage.asked()) == 1
    assert len(stage.submits()) == 1
