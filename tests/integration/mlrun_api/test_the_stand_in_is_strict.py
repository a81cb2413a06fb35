"""What the stand-ins refuse, of which some the real servers let pass: with these nobody passes by a mistake."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.peers.mlrun_stand_in.process import MlrunStandIn

pytestmark = pytest.mark.runners

CLIENT = {"x-mlrun-client-version": "1.9.2", "x-mlrun-client-python-version": "3.11"}
PROJECT = {"kind": "project", "metadata": {"name": "fraud"}, "spec": {"source": "git://git.example.com/ml/fraud.git"}}
SPEC = {"name": "main", "path": "w.py", "engine": "kfp"}
SUBMIT = "v1/projects/fraud/workflows/main/submit"


def _ask(stand_in: MlrunStandIn, method: str, path: str, document: Any = None, **headers: str) -> httpx.Response:
    address = f"{stand_in.url}/api/{path}"
    return httpx.request(method, address, json=document, headers={**CLIENT, **headers}, trust_env=False, timeout=30)


@pytest.fixture
def stand_in(mlrun_stand_in: MlrunStandIn) -> MlrunStandIn:
    assert _ask(mlrun_stand_in, "PUT", "v1/projects/fraud", PROJECT).status_code == 200
    return mlrun_stand_in


@pytest.mark.parametrize(
    ("method", "path", "document", "status", "said"),
    [
        ("GET", "v1/nowhere", None, 404, "Not Found"),
        ("POST", "v1/projects/fraud/schedules", {}, 405, "Method Not Allowed"),
        ("GET", "v1/projects/fraud/functions?page_size=5", None, 422, "does not know"),
        ("GET", "v1/projects/fraud/runs?partition_by=name", None, 422, "does not know"),
        ("GET", "v1/projects/fraud/functions?page=0", None, 422, "greater than 0"),
        ("GET", "v1/projects/fraud/functions?page-token=gone", None, 404, "token gone not found"),
        ("PUT", "v1/projects/fraud", {**PROJECT, "kind": "function"}, 422, "kind"),
        ("PUT", "v1/projects/fraud", {**PROJECT, "metadata": {"name": "other"}}, 409, "Conflict between name"),
        ("PUT", "v1/projects/Fraud_", {**PROJECT, "metadata": {"name": "Fraud_"}}, 400, "MLRunInvalidArgumentError"),
        ("PUT", "v1/projects/fraud", {**PROJECT, "spec": {"functions": "none"}}, 422, "valid list"),
        ("POST", "v1/projects/nobody/functions/train", {"kind": "job"}, 404, "does not exist"),
        ("POST", "v1/projects/fraud/functions/train", {"kind": "cronjob"}, 500, "cronjob"),
        ("POST", "v1/projects/fraud/functions/train", {"kind": "job", "metadata": {"name": "x"}}, 400, "Conflict"),
        ("POST", "v1/projects/fraud/functions/tr_ain", {"kind": "job"}, 400, "normalizes"),
        ("POST", SUBMIT, {"spec": {"path": "w.py"}}, 422, "field required"),
        ("POST", SUBMIT, {"spec": {**SPEC, "args": 5}}, 422, "valid dict"),
        ("POST", SUBMIT, {"spec": {**SPEC, "schedule": "* * * * *"}}, 400, "too frequent"),
        ("POST", SUBMIT, {"spec": {**SPEC, "schedule": "*/7 * * * *"}}, 400, "too frequent"),
        ("POST", SUBMIT, {"spec": {**SPEC, "schedule": "0 2 * *"}}, 400, "got 4, expected 5"),
        ("POST", SUBMIT, {"spec": {**SPEC, "schedule": "0 25 * * *"}}, 400, "out of range"),
        ("POST", SUBMIT, {"spec": {**SPEC, "schedule": "0 2 * * someday"}}, 400, "Unrecognized expression"),
        ("POST", SUBMIT, {"spec": SPEC, "source": "no address"}, 400, "Invalid source"),
        ("POST", SUBMIT, {"spec": SPEC, "notifications": [{"kind": "pigeon", "name": "x"}]}, 422, "kind"),
        ("POST", "v1/projects/nobody/workflows/main/submit", {"spec": SPEC}, 404, "Project not found"),
        ("POST", "v1/projects/fraud/secrets", {"secrets": {"A": "b"}}, 400, "vault"),
        ("GET", "v1/projects/fraud/runs/nobody-s", None, 404, "not found"),
        ("GET", "v1/projects/fraud/logs/nobody-s", None, 404, "not found"),
    ],
)
def test_what_does_not_keep_to_the_rules_is_refused(
    stand_in: MlrunStandIn, method: str, path: str, document: Any, status: int, said: str
) -> None:
    answer = _ask(stand_in, method, path, document)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_a_client_that_does_not_say_who_it_is_is_refused(stand_in: MlrunStandIn) -> None:
    answer = httpx.get(f"{stand_in.url}/api/v1/projects/fraud", trust_env=False)
    assert (answer.status_code, "headers of MLRun's client" in answer.text) == (400, True)


def test_the_two_differ_where_their_clients_do(mlrun_1_9: MlrunStandIn, mlrun_1_12: MlrunStandIn) -> None:
    for stand_in in (mlrun_1_9, mlrun_1_12):
        _ask(stand_in, "PUT", "v1/projects/fraud", PROJECT)
    asked = ["v1/projects/fraud/runs?state=running", "v1/projects/fraud/runs?states=running"]
    assert [_ask(mlrun_1_9, "GET", path).status_code for path in asked] == [200, 422]
    assert [_ask(mlrun_1_12, "GET", path).status_code for path in asked] == [422, 200]
    delete = "v1/projects/fraud/functions/train"
    assert [_ask(one, "DELETE", delete).status_code for one in (mlrun_1_9, mlrun_1_12)] == [204, 405]
    spec = {**SPEC, "run_setup": True}
    for one, dropped in ((mlrun_1_9, ("spec.run_setup",)), (mlrun_1_12, ())):
        _ask(one, "POST", SUBMIT, {"spec": spec})
        assert one.requests("POST")[-1].dropped == dropped


def test_what_is_secret_in_a_notification_is_not_kept_in_the_run(stand_in: MlrunStandIn) -> None:
    hook: dict[str, Any] = {
        "kind": "slack",
        "name": "x",
        "message": "m",
        "when": ["error"],
        "severity": "info",
        "condition": "",
    }
    hook["secret_params"] = {"webhook": "https://hooks.example.com/T0"}
    uid = _ask(stand_in, "POST", SUBMIT, {"spec": SPEC, "notifications": [hook]}).json()["run_id"]
    run = _ask(stand_in, "GET", f"v1/projects/fraud/runs/{uid}").text
    assert "mlrun.notifications." in run
    assert "hooks.example.com" not in run


def test_pages_hold_each_function_once(stand_in: MlrunStandIn) -> None:
    for number in range(7):
        _ask(stand_in, "POST", f"v1/projects/fraud/functions/f{number}?tag=latest", {"kind": "job"})
    path, seen = "v1/projects/fraud/functions?page=1&page-size=3", []
    while path:
        answer = _ask(stand_in, "GET", path).json()
        seen.append([one["metadata"]["name"] for one in answer["funcs"]])
        token = answer["pagination"]["page-token"]
        path = f"v1/projects/fraud/functions?page-token={token}" if token else ""
    assert seen == [["f0", "f1", "f2"], ["f3", "f4", "f5"], ["f6"]]
