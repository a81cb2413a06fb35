"""As on MLRun's page: an image with the commit's files, and a run that takes them from there."""

from __future__ import annotations

import json
import os
import posixpath
import subprocess
from pathlib import Path
from typing import Any

import pytest

from service.domain import mlrun_requests
from tests.integration.mlrun_api.speaking import speak_to
from tests.integration.mlrun_images.stage import BASE, Images, files
from tests.peers.mlrun_stand_in.process import MlrunStandIn
from tests.waiting import until

pytestmark = [pytest.mark.runners, pytest.mark.slow]

ALLOWED = {"policy": {"files_in_images": True}}


def inside(**runner: Any) -> dict[str, Any]:
    return {**files(), ".gitops.yaml": files(target_dir="./project", **runner)[".gitops.yaml"]}


def test_the_image_has_the_commits_files_and_the_run_begins_among_them(stage: Images) -> None:
    stage.restart(**ALLOWED)
    commit = stage.push(inside())
    run = stage.until("running")
    [asked] = stage.asked()
    spec = asked.document["function"]["spec"]
    assert spec["build"]["base_image"] == BASE
    assert (spec["clone_target_dir"], spec["build"]["source_code_target_dir"]) == ("project", "project")
    assert spec["build"]["source"].endswith(f"/{commit}.tar.gz")
    files_of_it = stage.http.get(spec["build"]["source"].removeprefix("https://gitops.example.com"))
    assert files_of_it.status_code == 200
    [submit] = stage.submits()
    assert submit.document["spec"]["image"] == run["image"]
    assert posixpath.normpath(submit.document["source"]) == "."
    assert submit.document["source"].startswith("./")
    api = speak_to(stage.mlrun.url, version=stage.mlrun.version)
    task = api.run("fraud", submit.answer["run_id"]) or {}
    api.close()
    assert task["spec"]["parameters"]["project_context"] == submit.document["source"]
    assert "url" not in task["spec"]["parameters"]


def test_each_commit_is_an_image_of_its_own(stage: Images) -> None:
    stage.restart(**ALLOWED)
    stage.push(inside())
    stage.finish(1)
    stage.push({"w.py": "print(1)"})
    stage.finish(2)
    assert len(stage.asked()) == 2
    assert len({one.document["spec"]["image"] for one in stage.submits()}) == 2


def test_the_builder_clones_the_very_commit_where_mlrun_takes_the_branch(stage: Images) -> None:
    stage.restart(**ALLOWED, mlrun={"api": stage.mlrun.url, "source": "git"})
    commit = stage.push(inside())
    until(stage.asked, "a build")
    source = stage.asked()[0].document["function"]["spec"]["build"]["source"]
    assert source.startswith("git://")
    assert source.endswith(f"#refs/heads/main#{commit}")


def test_a_submit_without_an_answer_is_found_by_its_folder(stage: Images) -> None:
    stage.restart(**ALLOWED)
    stage.mlrun.fail(method="POST", path="/submit", after=True, drop=True)
    stage.push(inside())
    run = stage.until("running")
    [submit] = stage.submits()
    stage.mlrun.finish("fraud", submit.answer["run_id"], log="it went well\n")
    stage.until("succeeded")
    assert "it went well" in stage.get(f"/runs/{run['id']}/log")["text"]


@pytest.mark.parametrize(
    ("settings", "runner", "said"),
    [
        ({}, {}, "policy.files_in_images"),
        (ALLOWED | {"server": {"internal_url": "http://gitops"}}, {}, "over https alone"),
        (
            {"policy": {"files_in_images": True, "launchers": ["kubernetes"]}},
            {"launcher": "kubernetes"},
            "MLRun's own runner",
        ),
    ],
)
def test_what_it_needs_is_said_in_the_plan(
    stage: Images, settings: dict[str, Any], runner: dict[str, Any], said: str
) -> None:
    stage.restart(**settings)
    stage.push(inside(**runner))
    until(lambda: stage.states() == ["failed"], "the sync to fail")
    error = stage.syncs()[0].error
    assert error is not None
    assert said in f"{error['what']} {error['mend']}"
    assert stage.asked() == []


RUNNER = """
import sys
import mlrun
from mlrun.projects.pipelines import load_and_run_workflow

context = mlrun.get_or_create_ctx("workflow-runner-main", project="fraud")
load_and_run_workflow(
    context, project_name="fraud", project_context=sys.argv[1], workflow_name="main", engine="local", dirty=False
)
"""
PROJECT = {"kind": "project", "metadata": {"name": "fraud"}, "spec": {"workflows": [
    {"name": "main", "path": "workflow.py", "handler": "pipeline", "engine": "local"}
]}}  # fmt: skip


def test_mlruns_own_runner_takes_the_folder_for_the_one_it_begins_in(
    mlrun_stand_in: MlrunStandIn, tmp_path: Path
) -> None:
    """The client that runs in the pod, begun where the image has the files."""
    api = speak_to(mlrun_stand_in.url, version=mlrun_stand_in.version)
    api.put_project("fraud", PROJECT)
    api.close()
    (tmp_path / "project.yaml").write_text(json.dumps(PROJECT))
    (tmp_path / "workflow.py").write_text("def pipeline():\n    print('from the image', __file__)\n")
    done = subprocess.run(
        [mlrun_stand_in.python, "-W", "ignore", "-c", RUNNER, mlrun_requests.inside_image("01j0000000000000000000000")],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "NO_PROXY": "127.0.0.1",
            "MLRUN_DBPATH": mlrun_stand_in.url,
            "MLRUN_IGNORE_ENV_FILE": "true",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "from the image" in done.stdout, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
