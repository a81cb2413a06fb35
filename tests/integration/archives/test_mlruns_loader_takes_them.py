"""The addresses are made for one reader: MLRun's own loader, of the SDKs that runners have."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from service.launchers.process.environment import ensure_environment
from service.reconciler.archives import archive_url, repository_of
from service.settings import Settings
from service.store import open_store, runs
from service.web import archives, problems
from tests.integration.runner.projects import project
from tests.integration.source.conftest import Place
from tests.peers.present import settings_for
from tests.unit.store import rows

pytestmark = [pytest.mark.runners, pytest.mark.slow]

LOAD = """\
import json, os, sys
import mlrun
project = mlrun.load_project("./context", sys.argv[1], name="demo", save=False)
run = project.run("main", engine="local", local=True, dirty=True)
print(json.dumps({
    "name": project.metadata.name,
    "source": project.spec.source,
    "files": sorted(os.listdir("context")),
    "state": str(getattr(run.state, "value", run.state)),
}))
"""


@pytest.fixture
def address(place: Place, tmp_path: Path) -> Iterator[str]:
    files: dict[str, str | bytes | None] = {**project(), "umläut/x.txt": "x"}
    commit = place.push(files)
    place.fetch()
    store = open_store(Settings(data_dir=tmp_path / "store"))
    store.write(lambda conn: runs.add(conn, rows.run(project="demo", commit=commit)))
    app = Flask("archives")
    problems.register(app)
    app.register_blueprint(
        archives.blueprint(partial(repository_of, store), archives.Archives(place.source.archive, 4))
    )
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield archive_url(store, f"http://127.0.0.1:{server.server_port}", "demo", commit)
    server.shutdown()
    server.server_close()
    store.close()


@pytest.mark.parametrize("version", ["1.9.2", "1.12.1"])
def test_a_project_is_loaded_from_its_address_and_runs(address: str, version: str, tmp_path: Path) -> None:
    python = ensure_environment(settings_for(version)).python
    work = tmp_path / "loader"
    work.mkdir()
    ended = subprocess.run(
        [python, "-c", LOAD, address],
        cwd=work,
        env={"PATH": os.environ["PATH"], "HOME": str(work), "LANG": "C.UTF-8", "USER": "tester"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = json.loads(ended.stdout.splitlines()[-1])
    assert (said["name"], said["source"], said["state"]) == ("demo", address, "Succeeded")
    assert {"project.yaml", "workflow.py", "work.py", "umläut"} <= set(said["files"])
