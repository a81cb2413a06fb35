"""What MLRun does that would hurt us, each with what we get instead."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.runner.projects import WORK, WORKFLOW, YAML, project, steps
from tests.peers.runner import Runner

pytestmark = pytest.mark.runner

TOKEN = "ghp_canary0123456789"
SAVING = """\
def setup(project):
    project.spec.params["saved"] = True
    project.sync_functions(save=True)
    project.save()
    project.set_secrets({"PASSWORD": "canary"})
    return project
"""


class Api(BaseHTTPRequestHandler):
    """Answers what MLRun's client asks when it connects, and notes every request."""

    asked: list[str]

    def _note(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        body = b'{"version": "1.9.2"}'
        self.send_response(200 if self.command == "GET" else 500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _note  # noqa: N815

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("One", (Api,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_token_in_a_remote_never_gets_into_the_source(runner: Runner, tmp_path: Path) -> None:
    checkout = tmp_path / "clone"
    checkout.mkdir()
    for name, text in project().items():
        (checkout / name).write_text(text)
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["commit", "-q", "-m", "all"],
        ["remote", "add", "origin", f"https://x:{TOKEN}@git.example.com/ml/demo.git"],
    ):
        subprocess.run(["git", "-C", str(checkout), *command], check=True)
    source = f"https://robot:{TOKEN}@git.example.com/ml/demo.git#refs/heads/main"
    loaded = runner.load(checkout, project={"source": source})
    spec = loaded.result["project"]["spec"]
    assert spec["source"] == spec["origin_url"] == "https://git.example.com/ml/demo.git#refs/heads/main"
    assert TOKEN not in (loaded.folder / "result.json").read_text()
    assert TOKEN not in (loaded.folder / "events.jsonl").read_text()


def test_the_owner_of_project_yaml_is_not_saved(runner: Runner) -> None:
    result = runner.load(project(yaml=YAML + "  owner: mallory\n")).result
    assert result["project"]["spec"].get("owner") is None


def test_a_save_in_the_setup_leaves_the_checkout_as_it_was(runner: Runner) -> None:
    files = project(yaml="# the reason for all this\n" + YAML, setup=SAVING)
    loaded = runner.load(files)
    assert loaded.result["project"]["spec"]["params"] == {"saved": True}
    assert (loaded.source / "project.yaml").read_text() == files["project.yaml"]


def test_a_save_in_a_setup_without_project_yaml_makes_none(runner: Runner) -> None:
    loaded = runner.load({"project_setup.py": SAVING, "workflow.py": WORKFLOW, "work.py": WORK})
    assert loaded.result["name"] == "some-repository"
    assert not (loaded.source / "project.yaml").exists()


@pytest.mark.parametrize("warm", [True, False])
def test_a_save_in_the_setup_never_reaches_an_api(runner: Runner, api: tuple[str, list[str]], warm: bool) -> None:
    url, asked = api
    setup = SAVING + "\nimport os\nassert 'MLRUN_DBPATH' not in os.environ or '://' not in os.environ['MLRUN_DBPATH']\n"
    loaded = runner.load(project(setup=setup), warm=warm, environment={"MLRUN_DBPATH": url})
    assert loaded.result["project"]["spec"]["params"] == {"saved": True}
    assert [request for request in asked if not request.startswith("GET ")] == []
    assert "canary" not in (loaded.folder / "result.json").read_text()


def test_with_an_api_a_load_may_read(runner: Runner, api: tuple[str, list[str]]) -> None:
    url, asked = api
    setup = """\
    import mlrun
    def setup(project):
        mlrun.get_run_db().list_project_secret_keys(project.name)
        return project
    """
    assert runner.load(project(setup=setup), environment={"MLRUN_DBPATH": url}).exit_code in (0, 1)
    assert any("secret-keys" in request for request in asked), asked


@pytest.mark.parametrize(
    ("call", "named"),
    [
        ("list_runs(project='other')", "list_runs('other')"),
        ("get_function('train', 'other')", "get_function('other/train')"),
        ("read_artifact('model', project='demo')", "read_artifact('demo/model')"),
        ("get_feature_set('users', 'demo')", "get_feature_set('users')"),
        ("list_project_secret_keys('demo')", "list_project_secret_keys('demo')"),
        ("get_hub_catalog('default')", "get_hub_catalog('default')"),
    ],
)
def test_a_read_without_an_answer_names_the_call_instead_of_being_none(runner: Runner, call: str, named: str) -> None:
    setup = f"import mlrun\ndef setup(project):\n    mlrun.get_run_db().{call}\n    return project\n"
    error = runner.load(project(setup=setup)).error
    assert error["type"] == "NoApiError"
    assert f"{named} needs an MLRun API" in error["message"]
    assert 'File "project_setup.py", line 3, in setup' in error["traceback"]


def test_what_needs_an_api_in_a_run_says_so(runner: Runner) -> None:
    workflow = steps("run(local=False)")
    error = runner.run(runner.load(project(workflow=workflow), check=[])).error
    assert error["type"] == "NoApiError"
    assert "needs an MLRun API" in error["message"]


def test_an_artifact_is_found_by_the_next_step_and_the_project(runner: Runner) -> None:
    work = """\
    def make(context):
        context.log_artifact("data", body=b"42", format="txt")
        context.log_dataset("table", df=__import__("pandas").DataFrame({"a": [1, 2]}))

    def use(context, data, table):
        context.log_result("read", int(data.get()) + int(table.as_df()["a"].sum()))
    """
    body = """
made = run("make")
assert made.outputs["data"].startswith("store://artifacts/demo/"), made.outputs
project = mlrun.get_current_project()
assert project.get_artifact("data").to_dataitem().get() == b"42"
assert [one["metadata"]["key"] for one in project.list_artifacts(kind="dataset")] == ["table"]
assert mlrun.get_dataitem(made.outputs["data"]).get() == b"42"
run("use", inputs={"data": made.outputs["data"], "table": "store://datasets/demo/table"})
"""
    yaml = YAML.replace("engine: kfp", "engine: local")
    loaded = runner.load(project(work=work, workflow=steps(body), yaml=yaml))
    ran = runner.run(loaded)
    assert ran.results == {"work-use": {"read": 45}}
    artifacts = ran.of("artifact")
    assert [(one["key"], one["kind"], one["step"]) for one in artifacts] == [
        ("data", "artifact", "work-make"),
        ("table", "dataset", "work-make"),
    ]
    assert all(Path(one["path"]).is_relative_to(ran.folder / "artifacts") for one in artifacts)
    assert Path(artifacts[0]["path"]).read_bytes() == b"42"


def test_a_failed_workflow_fails_though_mlrun_raises_nothing(runner: Runner) -> None:
    error = runner.run(runner.load(project(work="def work(context, x):\n    return {}[x]\n"))).error
    assert error == {
        "type": "KeyError",
        "message": "3",
        "traceback": 'Traceback (most recent call last):\n  File "work.py", line 2, in work\n    return {}[x]\nKeyError: 3\n',
        "step": "work-work",
    }


def test_the_configuration_of_a_run_is_the_revisions_not_the_files(runner: Runner) -> None:
    loaded = runner.load(project(yaml=YAML + "  params: {threshold: 0.7}\n"))
    workflow = WORKFLOW.replace('params={"x": x}', 'params={"x": project.get_param("threshold") * 10}')
    workflow = workflow.replace("mlrun.get_current_project()", "project").replace(
        "    project.run", "    project = mlrun.get_current_project()\n    project.run"
    )
    files = project(
        yaml=YAML + "  params: {threshold: 0.1}\n", workflow=workflow, setup="raise RuntimeError('run again')\n"
    )
    assert runner.run(loaded, files=files).results == {"work-work": {"double": 14}}
