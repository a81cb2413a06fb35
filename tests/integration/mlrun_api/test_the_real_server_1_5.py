"""Our client against the newest MLRun API server that can be had, 1.5.2: everything it does differently from later ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.errors import MlrunAway, MlrunRefused
from service.mlrun_api import Feature, MlrunApi
from tests.integration.mlrun_api.speaking import speak_to
from tests.peers import mlrun_api

pytestmark = pytest.mark.mlrun_api

SOURCE = "git://git.example.com/ml/fraud.git#refs/heads/main"
SPEC = {"name": "main", "path": "workflow.py", "engine": "kfp"}
PROJECT: dict[str, Any] = {
    "kind": "project",
    "metadata": {"name": "fraud"},
    "spec": {"description": "finds it", "source": SOURCE, "workflows": [{**SPEC, "schedule": "0 3 * * mon"}]},
}


@pytest.fixture(scope="module")
def server() -> Iterator[mlrun_api.MlrunApi]:
    with mlrun_api.MlrunApi() as server:
        yield server


@pytest.fixture
def api(server: mlrun_api.MlrunApi) -> Iterator[MlrunApi]:
    api = speak_to(server.url)
    yield api
    api.close()


def test_it_says_what_it_is_and_has_none_of_what_came_later(api: MlrunApi) -> None:
    assert api.server().version == mlrun_api.VERSION
    assert not api.server().features


def test_a_project_is_stored_whole_and_read_back(api: MlrunApi) -> None:
    assert api.project("nobody-s") is None
    stored = api.put_project("fraud", PROJECT)
    assert stored["spec"]["workflows"] == PROJECT["spec"]["workflows"]
    assert api.project("fraud") == stored


def test_functions_are_listed_by_name_and_deleted_once(api: MlrunApi) -> None:
    assert api.functions("lists") == {}
    with pytest.raises(MlrunRefused, match="Project lists does not exist"):
        api.put_function("lists", "train", {"kind": "job"})
    api.put_project("lists", {"metadata": {"name": "lists"}})
    for name in ("train", "test"):
        metadata = {"name": name, "project": "lists", "tag": "latest"}
        api.put_function("lists", name, {"kind": "job", "metadata": metadata, "spec": {"image": "mlrun/mlrun:1.5.2"}})
    found = api.functions("lists")
    assert {name: one["spec"]["image"] for name, one in found.items()} == dict.fromkeys(found, "mlrun/mlrun:1.5.2")
    assert found.keys() == {"train", "test"}

    api.delete_function("lists", "train")
    api.delete_function("lists", "train")
    assert api.functions("lists").keys() == {"test"}


def test_a_workflow_is_scheduled_moved_and_let_go(api: MlrunApi) -> None:
    api.put_project("fraud", PROJECT)
    for cron in ("0 4 * * *", "0 5 * * mon"):
        answer = api.submit("fraud", "main", _request(schedule=cron))
        assert (answer["status"], answer["schedule"]) == ("scheduled", cron)
        assert api.schedules("fraud")["main"]["scheduled_object"]["schedule"] == cron
    api.delete_schedule("fraud", "main")
    api.delete_schedule("fraud", "main")
    assert api.schedules("fraud") == {}


def test_what_has_a_schedule_in_the_project_is_run_at_once_under_a_name_that_the_project_does_not_have(
    api: MlrunApi,
) -> None:
    """As the table of differences says; asked under its own name, the workflow is scheduled."""
    api.put_project("fraud", PROJECT)
    assert not api.server().has(Feature.SCHEDULE_OF_THE_REQUEST)
    assert api.submit("fraud", "main", _request())["status"] == "scheduled"
    api.delete_schedule("fraud", "main")
    with pytest.raises(MlrunRefused, match="data_session"):  # it went for a pod, and there is no cluster
        api.submit("fraud", "another", _request())
    assert api.schedules("fraud") == {}


def test_a_schedule_that_it_cannot_have_is_refused_in_its_own_words(api: MlrunApi) -> None:
    api.put_project("fraud", PROJECT)
    with pytest.raises(
        MlrunRefused, match="Wrong number of fields in crontab expression; got 6, expected 5"
    ) as refused:
        api.submit("fraud", "main", _request(schedule="0 4 * * * *"))
    assert refused.value.answer == 400


def test_runs_are_all_of_them_however_old(api: MlrunApi, server: mlrun_api.MlrunApi) -> None:
    for uid, state in (("u1", "completed"), ("u2", "running"), ("u3", "error")):
        _store_run(server, uid, state)
    assert {_uid(run) for run in api.runs("old")} == {"u1", "u2", "u3"}
    assert [_uid(run) for run in api.runs("old", states=["error"])] == ["u3"]
    assert {_uid(run) for run in api.runs("old", states=["error", "running"])} == {"u2", "u3"}
    assert {_uid(run) for run in api.runs("old", labels=["kind=job"])} == {"u1", "u2", "u3"}
    assert api.runs("old", labels=["kind=spark"]) == api.runs("nobody-s") == []


def test_a_run_is_aborted_unless_it_has_ended(api: MlrunApi, server: mlrun_api.MlrunApi) -> None:
    for uid, state, becomes in (("a1", "running", "aborted"), ("a2", "completed", "completed")):
        _store_run(server, uid, state)
        api.abort("old", uid)
        run = api.run("old", uid)
        assert run is not None
        assert run["status"]["state"] == becomes
    assert api.run("old", "nobody-s") is None
    with pytest.raises(MlrunRefused, match="not found"):
        api.abort("old", "nobody-s")


def test_a_log_is_read_from_where_one_stopped(api: MlrunApi, server: mlrun_api.MlrunApi) -> None:
    _store_run(server, "l1", "completed")
    assert api.log("old", "l1", 0) == api.log("old", "nobody-s", 0) == b""
    _post(server, "projects/old/logs/l1", content=b"first line\nsecond line\n")
    assert api.log("old", "l1", 0) == b"first line\nsecond line\n"
    assert api.log("old", "l1", 11) == b"second line\n"
    assert api.log("old", "l1", 23) == b""


def test_the_id_of_a_workflow_is_none_until_its_runner_knows_it(api: MlrunApi, server: mlrun_api.MlrunApi) -> None:
    _store_run(server, "w1", "running")
    assert api.workflow_id("old", "main", "w1", "kfp") is None
    assert api.workflow_id("old", "main", "w1", "local") is None
    _store_run(server, "w1", "running", results={"workflow_id": "1234"})
    assert api.workflow_id("old", "main", "w1", "kfp") == "1234"


def test_what_it_can_only_do_in_a_cluster_is_an_outage_and_names_no_secret(api: MlrunApi) -> None:
    api.put_project("fraud", PROJECT)
    with pytest.raises(MlrunAway, match="500") as away:
        api.put_secrets("fraud", {"GIT_TOKEN": "s3cret-t0ken"})
    assert "s3cret" not in f"{away.value} {away.value.detail}"


def test_after_an_outage_it_is_asked_again_what_it_is(server: mlrun_api.MlrunApi, api: MlrunApi) -> None:
    api.put_project("fraud", PROJECT)
    server.stop()
    with pytest.raises(MlrunAway, match="Connection refused") as away:
        api.put_project("fraud", PROJECT)
    assert not away.value.sent
    server.start()
    assert api.project("fraud") is not None
    assert api.server().version == mlrun_api.VERSION


def _request(**spec: str) -> dict[str, Any]:
    return {"spec": {**SPEC, **spec}, "source": SOURCE, "run_name": "workflow-runner-main", "artifact_path": "/tmp/x"}


def _store_run(server: mlrun_api.MlrunApi, uid: str, state: str, **status: Any) -> None:
    """Of a project of its own, whose runs nothing but this knows of."""
    httpx.put(f"{server.url}/api/v1/projects/old", json={"metadata": {"name": "old"}}, trust_env=False, timeout=30)
    metadata = {"name": uid, "project": "old", "uid": uid, "iteration": 0, "labels": {"kind": "job"}}
    status = {"state": state, "start_time": "2020-01-01T00:00:00+00:00", **status}
    _post(server, f"projects/old/runs/{uid}", json={"metadata": metadata, "spec": {}, "status": status})


def _post(server: mlrun_api.MlrunApi, path: str, **body: Any) -> None:
    httpx.post(f"{server.url}/api/v1/{path}", **body, trust_env=False, timeout=30).raise_for_status()


def _uid(run: dict[str, Any]) -> str:
    return str(run["metadata"]["uid"])
