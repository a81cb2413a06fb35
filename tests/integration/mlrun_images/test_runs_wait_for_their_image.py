"""From a push whose runner needs packages: MLRun builds an image, the run waits for it and starts in it."""

from __future__ import annotations

import pytest

from service.launchers import JobKind
from tests.integration.mlrun_images.stage import BASE, REGISTRY, Images, files
from tests.waiting import until

pytestmark = [pytest.mark.runners, pytest.mark.slow]


def test_mlruns_runner_starts_in_the_image_that_was_built(stage: Images) -> None:
    stage.mlrun.builders("running", "Collecting iniconfig\n")
    stage.push(files())
    run = stage.waits("MLRun builds it: running")
    [asked] = stage.asked()
    function = asked.document["function"]
    assert function["spec"]["build"]["base_image"] == BASE
    assert function["spec"]["build"]["requirements"] == ["--only-binary=:all:", "iniconfig==2.0.0", "tabulate>=0.9"]
    assert run["image"] == function["spec"]["build"]["image"]
    assert stage.build().log == "Collecting iniconfig\n"
    assert stage.submits() == []
    stage.mlrun.builders("ready", "Collecting iniconfig\nPushed\n")
    run = stage.until("running")
    whole = f"{REGISTRY}/{function['spec']['build']['image'].removeprefix('.')}"
    assert run["image"] == whole
    assert [one.document["spec"]["image"] for one in stage.submits()] == [whole]
    assert stage.build().log == "Collecting iniconfig\nPushed\n"
    until(lambda: stage.builders() == [], "the builder's function to be gone from MLRun")


def test_a_pod_starts_in_it_by_its_whole_name(stage: Images) -> None:
    stage.push(files(launcher="kubernetes"))
    until(lambda: stage.runs() and stage.runs()[0].ended_at, "the run to end")
    [job] = [job for job in stage.pods.told if job.kind is JobKind.RUN]
    assert job.image is not None and job.image.startswith(f"{REGISTRY}/mlrun-gitops-fraud:")
    assert stage.runs()[0].state == "succeeded"


def test_processes_have_an_environment_and_need_no_image(stage: Images) -> None:
    stage.push(files(launcher="process"))
    until(lambda: stage.runs() and stage.runs()[0].ended_at, "the run to end")
    assert stage.asked() == []
    assert [job.runner.requirements_file for job in stage.launcher.told] == ["r.txt", "r.txt"]


def test_several_runs_share_one_build_and_the_next_push_needs_none(stage: Images) -> None:
    stage.mlrun.builders("pending")
    stage.push(files(rules=["main", "other"]))
    until(lambda: [("waits for its image" in run.reason) for run in stage.runs()] == [True, True], "both to wait")
    stage.mlrun.builders("ready")
    stage.finish(2)
    stage.push({"w.py": "print(1)"})
    until(lambda: len(stage.submits()) == 4, "the runs of the next push to start")
    assert len({one.document["spec"]["image"] for one in stage.submits()}) == 1
    assert len(stage.asked()) == 1


def test_other_packages_are_another_image(stage: Images) -> None:
    stage.push(files())
    stage.finish(1)
    stage.push({"r.txt": "iniconfig==2.0.1\n"})
    until(lambda: len(stage.submits()) == 2, "the second run")
    assert len({one.document["spec"]["image"] for one in stage.submits()}) == 2
    assert len(stage.asked()) == 2


def test_the_plan_says_which_image_is_built_and_when_it_is_there(stage: Images) -> None:
    stage.push(files())
    stage.finish(1)
    plan = stage.get(f"/syncs/{stage.syncs()[0].id}")["plan"]
    [image] = plan["images"]
    assert (image["base_image"], image["workflows"], image["is_there"]) == (BASE, ["main"], False)
    assert image["requirements"] == ["iniconfig==2.0.0", "tabulate>=0.9"]
    assert [run["image"] for run in plan["runs"]] == [image["image"]]
    stage.push({"w.py": "print(1)"})
    until(lambda: len(stage.syncs()) == 2 and stage.syncs()[1].plan, "the second plan")
    plan = stage.syncs()[1].plan
    assert plan is not None
    assert [one.is_there for one in plan.images] == [True]


def test_the_builders_function_is_no_drift(stage: Images) -> None:
    stage.mlrun.builders("running")
    stage.push(files())
    stage.waits("running")
    assert stage.get("/projects/fraud/drift")["differences"] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "--index-url https://ada:s3cret@pypi.example.com/simple\npandas\n",
            "r.txt, line 1: --index-url is an option of pip",
        ),
        ("pandas @ https://ada:s3cret@files.example.com/pandas.whl\n", "'pandas' comes from an address"),
        (None, "the commit has no requirements file r.txt"),
    ],
)
def test_a_file_that_asks_for_more_than_packages_is_an_error_of_the_plan(
    stage: Images, text: str | None, said: str
) -> None:
    stage.push(files(text))
    until(lambda: stage.states() == ["failed"], "the sync to fail")
    error = stage.syncs()[0].error
    assert error is not None and said in error["what"]
    assert "s3cret" not in str(error)
    assert stage.asked() == []
