"""The image of the workflow runner: chosen when a run is planned, fired, asked for or retried; refused before any of it."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.states import RunState
from service.store.runs import Run
from tests.integration.reconciler.stage import Files, Stage, gitops_yaml, project_yaml
from tests.integration.reconciler.test_schedules_fire_each_time_once import NIGHT, fire, slept
from tests.waiting import until

OF_1_9_2 = "docker.io/mlrun/mlrun-kfp:1.9.2"
OF_1_10_4 = "docker.io/mlrun/mlrun-kfp:1.10.4-py39"


def newest(stage: Stage) -> Run:
    stage.settle(but=())
    return stage.runs()[-1]


def plan(stage: Stage) -> dict[str, Any]:
    found = stage.get(f"/syncs/{stage.syncs()[-1].id}")["plan"]
    assert isinstance(found, dict)
    return found


def failed(stage: Stage, files: Files) -> dict[str, Any]:
    """The error of the sync that a push of `files` leads to."""
    commit = stage.push(files)
    found = until(lambda: [sync for sync in stage.syncs() if (sync.commit, sync.state) == (commit, "failed")], commit)
    assert found[0].error is not None
    return dict(found[0].error)


def test_planned_fired_asked_for_and_retried(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml(workflows=NIGHT)})
    planned = newest(stage)
    assert plan(stage)["runs"][0]["image"] == planned.image == OF_1_9_2
    fire(stage, slept(stage, 1.001))
    fired = newest(stage)
    assert (fired.workflow, fired.image) == ("night", OF_1_9_2)
    stage.ask("/projects/fraud/runs", {"workflow": "main", "arguments": {}})
    assert newest(stage).image == OF_1_9_2
    stage.ask(f"/runs/{planned.id}/retry")
    retried = newest(stage)
    assert (retried.retry_of, retried.image) == (planned.id, OF_1_9_2)
    assert stage.get(f"/runs/{retried.id}")["image"] == OF_1_9_2


def test_a_workflows_own_image_is_the_runs_and_the_plan_says_that_processes_do_not_use_it(stage: Stage) -> None:
    document = project_yaml().replace("path: w.py", "path: w.py\n    image: ghcr.io/acme/runner:7")
    stage.push({"project.yaml": document})
    assert newest(stage).image == "ghcr.io/acme/runner:7"
    (told,) = [warning for warning in plan(stage)["warnings"] if "ghcr.io" in warning]
    assert told == (
        "workflow main: image in project.yaml, ghcr.io/acme/runner:7, is not used: "
        "runs are processes in the environment of MLRun 1.9.2"
    )


def test_the_operators_registry_and_suffix_are_in_the_name(stage: Stage) -> None:
    mlrun = {"version": "1.10.4", "images_registry": "reg.example.com:5000/mirror", "image_suffix": "-3.9"}
    stage.restart(mlrun=mlrun)
    stage.push({"project.yaml": project_yaml()})
    assert newest(stage).image == "reg.example.com:5000/mirror/mlrun/mlrun-kfp:1.10.4-3.9"


@pytest.mark.parametrize(
    "said",
    [{".gitops.yaml": gitops_yaml({"python": "3.11"})}, {".python-version": "3.11.7\n"}],
    ids=lambda files: next(iter(files)),
)
def test_steps_on_another_python_than_the_project_says_are_a_warning(stage: Stage, said: dict[str, Any]) -> None:
    stage.push({"project.yaml": project_yaml(), **said})
    stage.settle(but=())
    (told,) = plan(stage)["warnings"]
    assert told == (
        "steps run on Python 3.9, which MLRun 1.9.2 needs for workflows; "
        f"in images (docker.io/mlrun/mlrun:1.9.2) they would run on Python 3.11, as {next(iter(said))} says"
    )


def test_a_project_that_says_no_python_hears_how_to_say_it(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml()})
    stage.settle(but=())
    (told,) = plan(stage)["warnings"]
    assert told.endswith('they would run on Python 3.11, unless .gitops.yaml says python: "3.9"')


def test_where_the_runner_is_on_the_newest_python_nobody_is_warned(stage: Stage) -> None:
    stage.restart(mlrun={"version": "1.12.1"})
    stage.push({"project.yaml": project_yaml()})
    stage.settle(but=())
    assert plan(stage)["warnings"] == []


def test_a_project_for_the_runners_python_is_not_warned(stage: Stage) -> None:
    stage.push({"project.yaml": project_yaml(), ".gitops.yaml": gitops_yaml({"python": "3.9"})})
    stage.settle(but=())
    assert plan(stage)["warnings"] == []


def test_a_python_without_an_image_fails_the_sync_and_what_was_in_force_stays(stage: Stage) -> None:
    stage.restart(mlrun={"version": "1.8.0"})
    good = stage.push({"project.yaml": project_yaml(workflows=NIGHT)})
    stage.settle(but=())
    error = failed(stage, {"project.yaml": project_yaml(), ".python-version": "3.11\n"})
    assert error["code"] == "plan-error"
    assert error["what"] == "MLRun 1.8.0 has no function images for Python 3.11, which .python-version asks for"
    assert "write python: '3.9' in .gitops.yaml" in error["mend"]
    assert stage.in_force() == good
    assert stage.crons() == {"night": "0 2 * * *"}
    assert [run.commit for run in stage.runs()] == [good]
    stage.push({".python-version": "3.9\n"})
    stage.settle(but=())
    assert stage.states()[-1] == "succeeded"


def test_an_image_that_is_none_fails_the_sync(stage: Stage) -> None:
    error = failed(stage, {"project.yaml": project_yaml().replace("path: w.py", "path: w.py\n    image: 'My Image'")})
    assert error["what"].startswith("workflow main: image in project.yaml: 'My Image' is no image reference")
    assert stage.runs() == []


def test_an_image_of_gitops_yaml_that_the_operator_did_not_allow_is_refused(stage: Stage) -> None:
    declared = gitops_yaml({"runner": {"image": "ghcr.io/acme/runner:7"}})
    good = stage.push({"project.yaml": project_yaml()})
    stage.settle(but=())
    error = failed(stage, {".gitops.yaml": declared})
    assert error["what"] == ".gitops.yaml: project '.': runner.image 'ghcr.io/acme/runner:7' is not allowed"
    assert error["mend"] == "the operator allows none (policy.images in the settings)"
    assert stage.in_force() == good

    stage.restart(policy={"images": ["ghcr.io/other/*"]})
    assert "allows ghcr.io/other/*" in failed(stage, {"data.txt": "again"})["mend"]

    stage.restart(policy={"images": ["ghcr.io/other/*", "ghcr.io/acme/*"]})
    stage.push({"data.txt": "and again"})
    assert newest(stage).image == "ghcr.io/acme/runner:7"


@pytest.mark.parametrize("image", ["ghcr.io/acme/../evil/runner:7", "ghcr.io/acme/x y", "ghcr.io/acme/"])
def test_what_is_no_reference_slips_through_no_pattern(stage: Stage, image: str) -> None:
    stage.restart(policy={"images": ["ghcr.io/acme/*"]})
    stage.push({"project.yaml": project_yaml()})
    stage.settle(but=())
    error = failed(stage, {".gitops.yaml": gitops_yaml({"runner": {"image": image}})})
    assert error["code"] == "gitops-file-error"
    assert "is no image reference" in error["what"]


def test_a_run_that_waited_while_the_operator_chose_another_mlrun_says_what_it_ran_on(stage: Stage) -> None:
    stage.launcher.runs_end = False
    stage.push({"project.yaml": project_yaml()})
    until(lambda: [run.state for run in stage.runs()] == [RunState.RUNNING], "the first run")
    first = stage.runs()[0]
    stage.ask("/projects/fraud/runs", {"workflow": "main", "arguments": {}})
    assert stage.runs()[-1].image == OF_1_9_2
    stage.restart(mlrun={"version": "1.10.4"})
    stage.launcher.runs_end = True
    stage.launcher.finish(first.id)
    ran = newest(stage)
    assert (ran.state, ran.mlrun_version, ran.image) == (RunState.SUCCEEDED, "1.10.4", OF_1_10_4)
    assert stage.get(f"/runs/{first.id}")["image"] == OF_1_9_2
    stage.ask(f"/runs/{first.id}/retry")
    again = newest(stage)
    assert (again.retry_of, again.mlrun_version, again.image) == (first.id, "1.10.4", OF_1_10_4)
