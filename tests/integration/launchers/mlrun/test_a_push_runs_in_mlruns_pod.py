"""The whole way on MLRun's real server: a push is saved there, its workflow runs in MLRun's pod from an archive that the service serves."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from service import app
from tests.integration.mlrun_schedules.stage import InMlrun
from tests.peers.kubernetes.programs import lasting_port
from tests.peers.mlrun_api.place import MlrunPlace

pytestmark = [pytest.mark.mlrun_api, pytest.mark.kubernetes, pytest.mark.runner, pytest.mark.slow]

_RUN_S = 150.0
_DOUBLE = """\
def run(context, factor: int):
    print("doubling", factor, flush=True)
    context.log_result("product", 21 * factor)
"""
_PROJECT = """\
kind: project
metadata: {{name: fraud}}
spec:
  params: {{factor: {factor}}}
  functions:
    - {{name: double, kind: job, image: mlrun/mlrun, url: double.py, handler: run}}
  workflows:
    - {{name: main, path: workflow.py, handler: pipeline, engine: local}}
"""
_WORKFLOW = """\
import mlrun


def pipeline():
    project = mlrun.get_current_project()
    project.run_function("double", params={"factor": project.get_param("factor")})
"""


@pytest.fixture
def stage(tmp_path: Path, mlrun_place: MlrunPlace, monkeypatch: pytest.MonkeyPatch) -> Iterator[InMlrun]:
    made, port = InMlrun(tmp_path), lasting_port()
    made.settings |= {
        "mlrun": {"api": mlrun_place.api.url},
        "server": {"internal_url": f"http://127.0.0.1:{port}"},
        "launcher": {"kind": "mlrun"},
    }
    function = {
        "kind": "job",
        "metadata": {"name": "double", "project": "fraud"},
        "spec": {
            "image": "mlrun/mlrun",
            "default_handler": "run",
            "build": {"functionSourceCode": base64.b64encode(_DOUBLE.encode()).decode()},
        },
    }
    made.launcher.resolved = {"functions": {"double": function}}
    monkeypatch.setitem(app.LAUNCHERS, "process", lambda *_: made.launcher)
    with made:
        assert made._service is not None
        server = make_server("127.0.0.1", port, made._service.app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def test_each_push_runs_with_its_own_files_and_configuration(stage: InMlrun, mlrun_place: MlrunPlace) -> None:
    stage.push({"project.yaml": _PROJECT.format(factor=2), "double.py": _DOUBLE, "workflow.py": _WORKFLOW})
    done = stage.until("succeeded", _RUN_S)
    assert done["results"] == {"double-run": {"product": 42}}
    assert "doubling 2" in stage.get(f"/runs/{done['id']}/log")["text"]

    stage.push({"project.yaml": _PROJECT.format(factor=3)})
    stage.settle()
    again = stage.until("succeeded", _RUN_S)
    assert again["id"] != done["id"]
    assert again["results"] == {"double-run": {"product": 63}}

    sources = {run["spec"]["parameters"]["url"] for run in mlrun_place.client.runs("fraud", "workflow-runner-main")}
    assert len(sources) == 2
    assert all(f"/archives/fraud.{run}." in "".join(sources) for run in (done["id"], again["id"]))
