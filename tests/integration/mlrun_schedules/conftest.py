"""Each MLRun there is: the real server 1.5, and the strict stand-ins for 1.9 and 1.12."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.mlrun_api import MlrunApi
from service.settings import Settings
from tests.peers.mlrun_api import MlrunApi as MlrunServer

PROJECT = {
    "metadata": {"name": "demo"},
    "spec": {
        "source": "http://gitops:8080/archives/demo.c2ln/abc.tar.gz",
        "workflows": [
            {
                "name": "nightly",
                "path": "workflow.py",
                "handler": "pipeline",
                "args": {"rows": 50},
                "schedule": "0 1 * * *",
            },
            {"name": "weekly_report", "path": "workflow.py", "engine": "local"},
        ],
    },
}


@pytest.fixture(scope="session")
def mlrun_1_5() -> Iterator[MlrunServer]:
    with MlrunServer() as server:
        yield server


@pytest.fixture(
    params=[
        pytest.param("mlrun_1_5", marks=pytest.mark.mlrun_api),
        pytest.param("mlrun_1_9", marks=pytest.mark.runners),
        pytest.param("mlrun_1_12", marks=pytest.mark.runners),
    ]
)
def api(request: pytest.FixtureRequest) -> Iterator[MlrunApi]:
    server = request.getfixturevalue(request.param)
    api = MlrunApi(Settings.model_validate({"mlrun": {"api": server.url}}))
    for name in api.schedules("demo") if api.project("demo") else ():
        api.delete_schedule("demo", name)
    api.put_project("demo", PROJECT)
    yield api
    api.close()
