"""A runner that was told of an MLRun API: a load reads, a run is tracked, cold and warm alike, with the runner's own credential.

What is only there to be run is loaded by the warm parent: a cold start takes MLRun's import, seconds of a core.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.runner.projects import WORK, project, steps
from tests.peers.kubernetes.pki import Authority
from tests.peers.mlrun_api import MlrunApi
from tests.peers.mlrun_api.recording import Answer, Asked, Recording
from tests.peers.runner import Ended, Runner

pytestmark = [pytest.mark.runner, pytest.mark.mlrun_api, pytest.mark.slow]

TOKEN = "runners0only0this0one0is0for0runners"
ACCESS_KEY = "5f6c0f0e-1c52-4f0e-9a55-3a7a1c0ffee0"
COLD_AND_WARM = pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])


@pytest.fixture(scope="module")
def mlrun() -> Iterator[MlrunApi]:
    """One that asks everybody for the token."""
    settings = {"MLRUN_HTTPDB__AUTHENTICATION__MODE": "bearer", "MLRUN_HTTPDB__AUTHENTICATION__BEARER__TOKEN": TOKEN}
    with MlrunApi(settings=settings) as mlrun:
        yield mlrun


@pytest.fixture
def between(mlrun: MlrunApi) -> Iterator[Recording]:
    with Recording(mlrun.url) as between:
        yield between


def api(mlrun: MlrunApi, method: str, path: str, body: Any = None) -> Any:
    answer = httpx.request(
        method,
        f"{mlrun.url}/api/v1/{path}",
        json=body,
        headers={"Authorization": f"Bearer {TOKEN}"},
        trust_env=False,
        timeout=30,
    )
    assert answer.is_success, answer.text
    return answer.json() if "json" in answer.headers.get("content-type", "") else answer.content


def save(mlrun: MlrunApi, loaded: Ended) -> dict[str, Any]:
    """As the service saves a project; what MLRun says of the function then."""
    result = loaded.result
    name = result["name"]
    api(mlrun, "PUT", f"projects/{name}", result["project"])
    for function, struct in result["functions"].items():
        api(mlrun, "POST", f"func/{name}/{function}?tag=latest", struct)
    return function_of(mlrun, name)


def function_of(mlrun: MlrunApi, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api(mlrun, "GET", f"func/{name}/work?tag=latest")["func"]
    return found


def named(name: str, **files: str) -> dict[str, str]:
    made = project(**files)
    return {**made, "project.yaml": made["project.yaml"].replace("{name: demo}", f"{{name: {name}}}")}


def told(url: str, token: str | None = TOKEN, **more: Any) -> dict[str, Any]:
    return {"mlrun": {"api": url, "token": token, **more}}


@COLD_AND_WARM
def test_a_run_leaves_its_steps_and_their_results_in_mlruns_database(
    runner: Runner, mlrun: MlrunApi, between: Recording, warm: bool
) -> None:
    name = f"tracked-{'warm' if warm else 'cold'}"
    work = WORK + "    print('said by the step')\n"
    loaded = runner.load(named(name, work=work), **told(between.url))
    saved = save(mlrun, loaded)
    ran = runner.run(loaded, warm=warm, arguments={"x": 4}, **told(between.url))
    assert ran.events[0]["warm"] is warm
    assert ran.results == {"work-work": {"double": 8}}

    (run,) = api(mlrun, "GET", f"runs?project={name}")["runs"]
    assert run["metadata"]["name"] == "work-work"
    assert (run["status"]["state"], run["status"]["results"]) == ("completed", {"double": 8})
    assert run["metadata"]["uid"] == ran.of("step.started")[0]["uid"]
    assert "said by the step" in api(mlrun, "GET", f"log/{name}/{run['metadata']['uid']}").decode()
    # The step's copy of the function is there by its hash, and the saved one is as it was.
    assert api(mlrun, "GET", f"func/{name}/work?hash_key={run['spec']['function'].rpartition('@')[2]}")["func"]
    assert function_of(mlrun, name) == saved
    written = {re.sub("[0-9a-f]{32}", "UID", asked) for asked in between.written}
    assert written == {
        f"{method} /api/v1/projects/{name}/{path}"
        for method, path in [
            ("POST", "functions/work"),  # its copy
            ("POST", "runs/UID"),
            ("PATCH", "runs/UID"),
            ("POST", "logs/UID"),
        ]
    }
    assert {asked.authorization for asked in between.asked} == {f"Bearer {TOKEN}"}


READING = """\
import mlrun

def setup(project):
    database = mlrun.get_run_db()
    kept = database.get_function("kept", project=project.metadata.name)
    project.set_function(mlrun.new_function(runtime=kept), name="kept")
    project.spec.params["runs"] = len(database.list_runs(project=project.metadata.name, name="none"))
    project.save()
    project.sync_functions(save=True)
    database.store_function({"metadata": {"name": "work"}}, "work", project=project.metadata.name)
    database.delete_function("kept", project=project.metadata.name)
    database.create_project_secrets(project.metadata.name, secrets={"a": "b"})
    return project
"""


@COLD_AND_WARM
def test_a_load_reads_what_is_in_mlruns_database_and_writes_nothing(
    runner: Runner, mlrun: MlrunApi, between: Recording, warm: bool
) -> None:
    name = f"read-{'warm' if warm else 'cold'}"
    api(mlrun, "PUT", f"projects/{name}", {"metadata": {"name": name}, "spec": {"description": "as it was"}})
    kept = {"kind": "job", "metadata": {"name": "kept", "project": name}, "spec": {"image": "mine:1"}}
    api(mlrun, "POST", f"func/{name}/kept?tag=latest", kept)
    result = runner.load(named(name, setup=READING), warm=warm, **told(between.url)).result
    assert result["functions"]["kept"]["spec"]["image"] == "mine:1"
    assert result["asked"] == ["get_function", "list_runs"]
    assert {warning.partition(":")[0] for warning in result["warnings"]} >= {
        "create_project_secrets",
        "delete_function",
    }
    assert between.written == []
    assert {asked.path for asked in between.asked} == {
        "/api/v1/client-spec",
        f"/api/v1/projects/{name}/functions/kept",
        f"/api/v1/projects/{name}/runs",
    }
    assert api(mlrun, "GET", f"projects/{name}")["spec"]["description"] == "as it was"
    assert [func["metadata"]["name"] for func in api(mlrun, "GET", f"funcs?project={name}")["funcs"]] == ["kept"]


def test_a_load_that_asks_nothing_does_not_even_connect(runner: Runner, between: Recording) -> None:
    result = runner.load(project(), **told(between.url)).result
    assert (result["asked"], between.asked) == ([], [])


def test_a_write_by_a_way_round_is_refused(runner: Runner, between: Recording) -> None:
    setup = """\
import mlrun
def setup(project):
    mlrun.get_run_db().api_call("POST", "projects", json={"metadata": {"name": "other"}})
    return project
"""
    error = runner.load(project(setup=setup), **told(between.url)).error
    assert error["type"] == "WriteError"
    assert error["message"].startswith("POST projects would change something in MLRun")
    assert between.written == []


# What code prints of itself when somebody looks for a mistake.
PRINTING = """\
import json, os, sys
import mlrun

def work(context):
    database = mlrun.get_run_db()
    print(dict(os.environ), sys.argv, mlrun.mlconf.to_dict(), database, vars(database), context.to_dict())
    context.log_result("environment", dict(os.environ))
    raise RuntimeError(f"{dict(os.environ)} {database}")
"""


@COLD_AND_WARM
def test_the_credential_is_in_nothing_that_code_prints_of_itself(
    runner: Runner, mlrun: MlrunApi, between: Recording, warm: bool
) -> None:
    loaded = runner.load(project(work=PRINTING), **told(between.url))
    save(mlrun, loaded)
    ran = runner.run(loaded, warm=warm, **told(between.url))
    assert ran.error["type"] == "RuntimeError"
    holding = [path for path in ran.folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert holding == [ran.folder / "job.json"]
    assert "MLRUN_DBPATH" in ran.log  # it did print
    assert not any(TOKEN.encode() in asked.body for asked in between.asked)


@COLD_AND_WARM
def test_a_server_that_repeats_the_credential_is_not_repeated(runner: Runner, mlrun: MlrunApi, warm: bool) -> None:
    def repeat(asked: Asked) -> Answer | None:
        if asked.method == "GET":
            return None
        return 400, json.dumps({"detail": f"what do you mean by {asked.authorization}?"}).encode()

    with Recording(mlrun.url, repeat) as between:
        loaded = runner.load(project(), **told(between.url))
        save(mlrun, loaded)
        ran = runner.run(loaded, warm=warm, **told(between.url))
    assert "what do you mean by Bearer ***?" in ran.error["message"]
    assert "what do you mean by Bearer ***?" in ran.log
    assert TOKEN not in ran.log + json.dumps(ran.events)


@COLD_AND_WARM
def test_a_token_is_sent_as_one_whatever_it_looks_like(runner: Runner, mlrun: MlrunApi, warm: bool) -> None:
    """MLRun's client itself takes one with dashes, and this long, for an access key of Iguazio's."""
    with Recording(mlrun.url) as between:
        ran = runner.run(runner.load(project()), warm=warm, **told(between.url, ACCESS_KEY))
    assert ran.exit_code == 1  # it is not this server's
    assert {(asked.authorization, asked.cookie) for asked in between.asked} == {(f"Bearer {ACCESS_KEY}", "")}


@COLD_AND_WARM
def test_what_iguazio_calls_an_access_key_is_sent_as_its_session(runner: Runner, mlrun: MlrunApi, warm: bool) -> None:
    with Recording(mlrun.url) as between:
        loaded = runner.load(project())
        ran = runner.run(loaded, warm=warm, **told(between.url, ACCESS_KEY, session=True))
    assert ran.exit_code == 1  # this server knows tokens only
    assert {asked.authorization for asked in between.asked} == {""}
    assert all(ACCESS_KEY in asked.cookie for asked in between.asked)
    assert ACCESS_KEY not in ran.log + json.dumps(ran.events)


PROGRAM = """\
import mlrun
context = mlrun.get_or_create_ctx("alone")
context.log_result("seen", 1)
context.commit(completed=True)
"""


@COLD_AND_WARM
def test_a_step_that_is_a_program_connects_with_the_credential_too(
    runner: Runner, mlrun: MlrunApi, between: Recording, warm: bool
) -> None:
    """By itself, so that its client decides how to send it."""
    name = f"alone-{'warm' if warm else 'cold'}"
    workflow = steps('run(handler="")')
    yaml = project()["project.yaml"].replace(", handler: work", "").replace("{name: demo}", f"{{name: {name}}}")
    loaded = runner.load(project(work=PROGRAM, workflow=workflow, yaml=yaml), **told(between.url))
    save(mlrun, loaded)
    ran = runner.run(loaded, warm=warm, **told(between.url))
    assert ran.results == {"work": {"seen": 1}}
    (run,) = api(mlrun, "GET", f"runs?project={name}")["runs"]
    assert (run["status"]["state"], run["status"]["results"]) == ("completed", {"seen": 1})
    assert {asked.authorization for asked in between.asked} == {f"Bearer {TOKEN}"}


def test_a_step_that_is_a_program_may_take_a_token_for_something_else(runner: Runner, mlrun: MlrunApi) -> None:
    yaml = project()["project.yaml"].replace(", handler: work", "")
    loaded = runner.load(project(work="print('alone')\n", workflow=steps('run(handler="")'), yaml=yaml))

    def yes(asked: Asked) -> Answer | None:
        return None if asked.path.endswith("client-spec") else (200, b"{}")

    with Recording(mlrun.url, yes) as between:
        ran = runner.run(loaded, **told(between.url, ACCESS_KEY))
    assert "looks like an access key" in ran.of("warning")[0]["text"]
    assert ACCESS_KEY not in ran.log + json.dumps(ran.events)


@pytest.fixture
def secured(mlrun: MlrunApi, tmp_path: Path) -> Iterator[Recording]:
    """With a certificate of its own authority."""
    authority = Authority(tmp_path / "authority")
    with Recording(mlrun.url, identity=authority.issue("server", "mlrun", hosts=("127.0.0.1",))) as secured:
        yield secured


@COLD_AND_WARM
def test_an_authority_of_its_own_is_trusted(
    runner: Runner, mlrun: MlrunApi, secured: Recording, tmp_path: Path, warm: bool
) -> None:
    ca = (tmp_path / "authority" / "ca.crt").read_text()
    loaded = runner.load(project())
    save(mlrun, loaded)
    assert runner.run(loaded, warm=warm, **told(secured.url, ca=ca)).results == {"work-work": {"double": 6}}
    assert "certificate verify failed" in runner.run(loaded, warm=warm, **told(secured.url)).error["message"]


def test_artifacts_that_an_old_server_does_not_take_pass_between_steps_all_the_same(
    runner: Runner, mlrun: MlrunApi, between: Recording
) -> None:
    work = """\
def work(context):
    context.log_artifact("note", body=b"1", local_path="note.txt")

def read(context, note):
    context.log_result("note", open(note.local()).read())
"""
    body = 'one = run()\nrun(handler="read", inputs={"note": one.outputs["note"]}, name="read")'
    loaded = runner.load(named("old", work=work, workflow=steps(body)), check=[], **told(between.url))
    save(mlrun, loaded)
    ran = runner.run(loaded, **told(between.url))
    assert ran.exit_code == 0, ran.log
    assert list(ran.results.values()) == [{"note": "1"}]
    (warning,) = ran.of("warning")
    assert warning["text"].startswith("MLRun's API is of version 1.5.2, which does not take artifacts")


def test_a_server_that_does_not_answer_ends_the_run_with_its_address(runner: Runner) -> None:
    loaded = runner.load(project())
    error = runner.run(loaded, **told("http://127.0.0.1:9")).error
    assert "127.0.0.1" in error["message"]


@pytest.mark.parametrize(
    ("mlrun", "words"),
    [
        ("http://x", "mlrun: must be null or an object"),
        ({"api": "ftp://x", "token": "canary-of-mine"}, "mlrun.api: 'ftp://x' begins with neither"),
        ({"api": "http://x", "token": ["canary-of-mine"]}, "mlrun.token: is not a text"),
    ],
)
def test_a_job_that_tells_it_wrong_is_refused_without_the_credential(runner: Runner, mlrun: Any, words: str) -> None:
    ended = runner.job({"kind": "load", "mlrun": mlrun}, project(), warm=False)
    assert ended.exit_code == 2
    assert words in ended.log
    assert "canary-of-mine" not in ended.log
    assert not Path(ended.folder / "claimed").exists()
