"""The stand-ins are first driven by the real client of their version; then ours asks for the same, by the same requests."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from service.mlrun_api import Feature
from tests.integration.mlrun_api import sdk
from tests.integration.mlrun_api.speaking import speak_to
from tests.peers.mlrun_stand_in.process import MlrunStandIn, Request

pytestmark = [pytest.mark.runners, pytest.mark.slow]

FILES = {
    "project.yaml": """
        kind: project
        metadata: {name: fraud}
        spec:
          params: {threshold: 0.7}
          functions:
            - {name: train, url: steps.py, kind: job, image: mlrun/mlrun, handler: train}
            - {name: test, url: steps.py, kind: job, image: mlrun/mlrun, handler: test}
          workflows:
            - {name: main, path: workflow.py, engine: kfp, image: mlrun/mlrun-kfp, args: {rows: 10}}
        """,
    "steps.py": "def train(context): ...\ndef test(context): ...\n",
    "workflow.py": "def pipeline(rows=1): ...\n",
}


def test_it_is_saved_scheduled_run_and_read_by_the_sdk_and_by_us(mlrun_stand_in: MlrunStandIn, tmp_path: Path) -> None:
    seen = _driven(mlrun_stand_in, tmp_path)
    assert seen["version"] == mlrun_stand_in.version
    assert seen["project"]["spec"]["params"] == {"threshold": 0.7}
    assert sorted(seen["functions"]) == ["test", "train"]
    assert seen["schedules"] == [[["main", sdk.NIGHTLY]], [["main", sdk.WEEKLY]], []]
    assert "no more than one job per 10 minutes" in seen["too often"]
    assert seen["runs"][0] == seen["workflow id"]
    assert seen["run"] == "running"
    assert seen["running"] >= 1
    assert seen["log"] == ["second\n", ""]
    assert (seen["abort"], seen["aborted"]) == ("succeeded", "aborted")
    assert seen["secrets"] == ["GIT_TOKEN"]
    # Submitting a workflow makes a function of its runner.
    assert sorted(seen["left"]) == ["test", "workflow-runner-main"]
    assert seen["build"] is True  # there is nothing to add
    assert seen["image"].startswith(".")
    assert set(seen["kept"]) == set(seen["left"])
    assert seen["inside"]["project_context"] == "./"
    assert "url" not in seen["inside"]
    theirs = mlrun_stand_in.requests()
    assert [f"{one.method} {one.path} {one.query} {one.answer}" for one in theirs if one.status >= 500] == []

    ours = _asked_by_us(mlrun_stand_in, theirs)
    assert ours.pop("is well") == {("GET", "/api/v1/healthz")}  # which the SDK does not ask
    for rule, requests in ours.items():
        assert requests <= _shapes(theirs)[rule], rule


def test_headers_are_those_of_the_sdk_but_for_the_python(mlrun_1_9: MlrunStandIn, tmp_path: Path) -> None:
    """An access key goes as the SDK sends it; the Python is the one with which no server appends anything to images."""
    key = "0a1b2c3d-1111-2222-3333-444455556666"
    mlrun_1_9.ask_for(kind="session", access_key=key)
    program = "import mlrun; mlrun.get_run_db().list_projects()"
    _run(mlrun_1_9, ["-W", "ignore", "-c", program], tmp_path, V3IO_ACCESS_KEY=key)
    api = speak_to(mlrun_1_9.url, version=mlrun_1_9.version, access_key=key)
    assert api.project("fraud") is None
    api.close()
    theirs, ours = (request for request in mlrun_1_9.requests() if request.path.startswith("/api/v1/projects"))
    assert theirs.status == 200
    assert ours.headers["cookie"] == theirs.headers["cookie"]
    assert ours.headers["x-mlrun-client-version"] == theirs.headers["x-mlrun-client-version"]
    assert theirs.headers["x-mlrun-client-python-version"].startswith("3.9")
    assert ours.headers["x-mlrun-client-python-version"] == "3.11"


def _asked_by_us(stand_in: MlrunStandIn, theirs: list[Request]) -> dict[str, set[tuple[Any, ...]]]:
    """The same again, with the documents that the SDK sent; by rule what we asked."""
    project = next(one.document for one in reversed(theirs) if one.rule == "stores a project")
    functions = {one.path.rsplit("/", 1)[1]: one.document for one in theirs if one.rule == "stores a function"}
    submits = [one.document for one in theirs if one.rule == "runs or schedules a workflow" and one.status == 202]
    stand_in.reset()
    api = speak_to(stand_in.url, version=stand_in.version)
    assert api.server().has(Feature.PAGES)
    stored = api.put_project("fraud", project)
    assert stored == api.project("fraud")
    for name in ("train", "test"):
        api.put_function("fraud", name, functions[name])
    assert api.functions("fraud").keys() == {"train", "test"}
    assert [api.submit("fraud", "main", one)["status"] for one in submits] == [
        "scheduled",
        "scheduled",
        "running",
        "running",
    ]
    assert api.schedules("fraud")["main"]["scheduled_object"]["schedule"] == sdk.WEEKLY
    api.delete_schedule("fraud", "main")
    assert api.schedules("fraud") == {}
    (run,) = api.runs("fraud", name="workflow-runner-main", labels=["job-type=workflow-runner"])
    uid = run["metadata"]["uid"]
    assert api.workflow_id("fraud", "main", uid, "kfp") is None
    assert api.workflow_id("fraud", "main", uid, "local") == uid
    assert [one["metadata"]["uid"] for one in api.runs("fraud", states=["running"])] == [uid]
    stand_in.change_run("fraud", uid, {}, log="first\nsecond\n")
    assert api.log("fraud", uid, 6) == b"second\n"
    if api.server().has(Feature.TERMINATE_PIPELINES):
        stand_in.change_run("fraud", uid, {"status.results.workflow_id": uid})
        api.terminate("fraud", uid)
    api.abort("fraud", uid)
    states = [(api.run("fraud", uid) or {})["status"]["state"] for _ in range(2)]
    assert states == ["aborting", "aborted"]
    api.put_secrets("fraud", {"GIT_TOKEN": "s3cret-t0ken"})
    assert api.secret_keys("fraud") == {"GIT_TOKEN"}
    api.delete_function("fraud", "train")
    assert api.functions("fraud").keys() == {"test", "workflow-runner-main", "workflow-runner-inside"}
    built = next(one.document for one in reversed(theirs) if one.rule == "builds a function's image")
    assert api.build(built).goes_on
    state = api.build_state("fraud", built["function"]["metadata"]["name"])
    assert state is not None
    assert (state.ready, state.image) == (True, built["function"]["spec"]["build"]["image"])
    api.close()
    return _shapes(stand_in.requests())


def _shapes(requests: list[Request]) -> dict[str, set[tuple[Any, ...]]]:
    """By rule the method and path, where an id is an id; how a list is filtered and paged is each client's own affair."""
    shapes: dict[str, set[tuple[Any, ...]]] = {}
    for one in requests:
        path = "/".join("ID" if len(part) >= 32 else part for part in one.path.split("/"))
        shapes.setdefault(one.rule, set()).add((one.method, path))
    return shapes


def _driven(stand_in: MlrunStandIn, folder: Path) -> dict[str, Any]:
    for name, text in FILES.items():
        (folder / name).write_text("\n".join(line.removeprefix(" " * 8) for line in text.strip("\n").splitlines()))
    out = _run(stand_in, ["-W", "ignore", str(Path(sdk.__file__)), str(folder)], folder)
    seen: dict[str, Any] = json.loads(out.splitlines()[-1])
    return seen


def _run(stand_in: MlrunStandIn, words: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [stand_in.python, *words],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "NO_PROXY": "127.0.0.1",
            "MLRUN_DBPATH": stand_in.url,
            "MLRUN_IGNORE_ENV_FILE": "true",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout
