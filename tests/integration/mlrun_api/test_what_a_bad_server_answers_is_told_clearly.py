"""Outages and answers that nobody could have meant: each ends in time, in our own words, and without a secret."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from service import limits
from service.errors import MlrunAway, MlrunRefused
from service.mlrun_api import MlrunApi
from tests.integration.mlrun_api.speaking import speak_to
from tests.peers.mlrun_stand_in.process import MlrunStandIn

pytestmark = pytest.mark.runners

TOKEN = "t0ken-that-nobody-may-see"
PROJECT = {"kind": "project", "metadata": {"name": "fraud"}, "spec": {"source": "git://git.example.com/ml/fraud.git"}}
REQUEST = {"spec": {"name": "main", "path": "workflow.py", "engine": "kfp"}, "artifact_path": "/x"}
BAD_GATEWAY = f"<html><head><style>h1 {{}}</style></head><body><h1>502 Bad Gateway</h1>{TOKEN}</body></html>"


@pytest.fixture
def api(mlrun_1_12: MlrunStandIn) -> Iterator[MlrunApi]:
    mlrun_1_12.ask_for(kind="token", token=TOKEN)
    api = _api(mlrun_1_12)
    api.put_project("fraud", PROJECT)
    yield api
    api.close()


def _api(stand_in: MlrunStandIn, token: str = TOKEN) -> MlrunApi:
    return speak_to(stand_in.url, version=stand_in.version, token=token)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 502, "body": BAD_GATEWAY}, r"could not read the project fraud \(502\): 502 Bad Gateway \*\*\*$"),
        ({"status": 503, "headers": {"retry-after": "7"}}, r"could not read the project fraud \(503\)$"),
        ({"status": 429, "headers": {"retry-after": "7"}}, r"could not read the project fraud \(429\)$"),
        ({"drop": True, "times": 0}, "is not reached: Server disconnected"),
    ],
)
def test_an_outage_is_away(api: MlrunApi, mlrun_1_12: MlrunStandIn, fault: dict[str, Any], said: str) -> None:
    mlrun_1_12.fail(path="projects/fraud$", **fault)
    with pytest.raises(MlrunAway, match=said) as away:
        api.project("fraud")
    assert away.value.retry
    assert away.value.retry_after_s == (7 if "headers" in fault else 0)
    mlrun_1_12.heal()
    assert api.project("fraud") is not None


@pytest.mark.parametrize(
    ("fault", "said", "mend"),
    [
        ({"status": 200, "body": "<html>Sign in</html>"}, "answered no JSON object", "set mlrun.api to the address"),
        ({"status": 200, "body": "[" * 100_000}, "answered no JSON object", "set mlrun.api to the address"),
        ({"status": 200, "body": "[1]"}, "answered no JSON object", "set mlrun.api to the address"),
        ({"status": 200, "body": "x" * 1024, "repeat": 66 * 1024}, "answered more than 64 MiB", "set mlrun.api"),
        ({"status": 302, "headers": {"location": "https://login.example.com"}}, "sends us elsewhere", "people sign in"),
        (
            {"status": 403, "body": '{"detail": "no"}'},
            r"refused to read the project fraud \(403\): no",
            "let the owner",
        ),
        ({"status": 200, "body": "x", "headers": {"content-encoding": "gzip"}}, "an encoding that was not asked", ""),
    ],
)
def test_nonsense_is_refused(
    api: MlrunApi, mlrun_1_12: MlrunStandIn, fault: dict[str, Any], said: str, mend: str
) -> None:
    mlrun_1_12.fail(path="projects/fraud$", **fault)
    with pytest.raises(MlrunRefused, match=said) as refused:
        api.project("fraud")
    assert mend in refused.value.mend
    assert len(refused.value.detail) <= limits.MLRUN_QUOTE_CHARACTERS + 1


@pytest.mark.parametrize("drip", [{"drip_headers": True}, {"drip_headers": False}])
def test_a_server_that_drips_is_let_go_in_time(
    api: MlrunApi, mlrun_1_12: MlrunStandIn, monkeypatch: pytest.MonkeyPatch, drip: dict[str, bool]
) -> None:
    """Each byte comes within the time of a read; the whole does not within that of a call."""
    monkeypatch.setattr(limits, "OUTSIDE_WRITE_TIMEOUT_S", 1.0)
    mlrun_1_12.fail(path="projects/fraud$", status=200, body="x" * 200, drip_s=0.05, **drip)
    began = time.monotonic()
    with pytest.raises(MlrunAway, match="did not answer in time") as away:
        api.project("fraud")
    assert time.monotonic() - began < 3
    assert away.value.sent


def test_what_was_sent_and_not_answered_may_have_happened(api: MlrunApi, mlrun_1_12: MlrunStandIn) -> None:
    """A submit is sent once, whatever becomes of its answer."""
    mlrun_1_12.fail(method="POST", path="submit", drop=True, after=True, times=0)
    with pytest.raises(MlrunAway) as away:
        api.submit("fraud", "main", REQUEST)
    assert away.value.sent
    assert len(api.runs("fraud")) == 1
    assert len([one for one in mlrun_1_12.requests("POST") if one.path.endswith("submit")]) == 1


def test_what_may_be_done_twice_is_sent_again_where_a_kept_connection_is_gone(
    api: MlrunApi, mlrun_1_12: MlrunStandIn
) -> None:
    mlrun_1_12.fail(method="PUT", path="projects/fraud$", drop=True, times=1)
    api.put_project("fraud", {**PROJECT, "spec": {**PROJECT["spec"], "description": "again"}})  # type: ignore[dict-item]  # it is a dict
    assert (api.project("fraud") or {})["spec"]["description"] == "again"


def test_a_server_that_is_not_there_was_sent_nothing(unused_url: str) -> None:
    api = speak_to(unused_url)
    with pytest.raises(MlrunAway, match="Connection refused") as away:
        api.server()
    assert not away.value.sent


def test_who_is_not_let_in_goes_on_when_it_is(mlrun_1_12: MlrunStandIn) -> None:
    mlrun_1_12.ask_for(kind="token", token="another one")
    api = _api(mlrun_1_12)
    with pytest.raises(MlrunAway, match="does not know us") as away:
        api.project("fraud")
    assert "mlrun.token_file" in away.value.mend
    assert TOKEN not in f"{away.value} {away.value.mend} {away.value.detail}"
    mlrun_1_12.ask_for(kind="token", token=TOKEN)
    assert api.project("fraud") is None
    api.close()


def test_secrets_that_are_sent_are_in_no_error(api: MlrunApi, mlrun_1_12: MlrunStandIn) -> None:
    multiline = '-----BEGIN KEY-----\nabc"def\n-----END KEY-----\n'
    for said in ('{"detail": "cannot keep %s"}', "<p>%s</p>"):
        mlrun_1_12.fail(method="POST", path="secrets$", status=400, body=said % 's3cret-one abc\\"def')
        with pytest.raises(MlrunRefused) as refused:
            api.put_secrets("fraud", {"A": "s3cret-one", "B": multiline, "C": 'abc"def'})
        assert "s3cret" not in str(refused.value)
        assert "def" not in str(refused.value)
    mlrun_1_12.fail(
        method="POST", path="submit", status=400, body='{"detail": "bad hook https://hooks.example.com/T0"}'
    )
    hook = {"kind": "slack", "name": "x", "secret_params": {"webhook": "https://hooks.example.com/T0"}}
    with pytest.raises(MlrunRefused, match=r"bad hook \*\*\*"):
        api.submit("fraud", "main", {**REQUEST, "notifications": [hook]})


def test_a_list_without_an_end_ends(api: MlrunApi, mlrun_1_12: MlrunStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MLRUN_PAGES", 5)
    endless = '{"funcs": [], "pagination": {"page-token": "again"}}'
    mlrun_1_12.fail(path="functions$", status=200, body=endless, times=0)
    with pytest.raises(MlrunRefused, match="more than 5 pages"):
        api.functions("fraud")


def test_a_task_that_fails_says_why(api: MlrunApi, mlrun_1_12: MlrunStandIn) -> None:
    mlrun_1_12.fail_task(f"nuclio said no to {TOKEN}")
    with pytest.raises(MlrunRefused, match=r"failed to delete the function train of fraud: nuclio said no to \*\*\*"):
        api.delete_function("fraud", "train")


def test_a_task_without_an_end_is_away_in_time(
    api: MlrunApi, mlrun_1_12: MlrunStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.server()
    monkeypatch.setattr(limits, "OUTSIDE_WRITE_TIMEOUT_S", 1.0)
    mlrun_1_12.fail(path="background-tasks", status=200, body='{"status": {"state": "running"}}', times=0)
    with pytest.raises(MlrunAway, match="is still at work to delete the function train"):
        api.delete_function("fraud", "train")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_lead_elsewhere_is_refused(api: MlrunApi, mlrun_1_12: MlrunStandIn, name: str) -> None:
    for ask in (api.project, api.functions, api.schedules, api.secret_keys):
        with pytest.raises(MlrunRefused, match="is no name"):
            ask(name)
    assert api.project("../fraud?x=1#") is None
    assert mlrun_1_12.requests("GET")[-1].path == "/api/v1/projects/../fraud?x=1#"


@pytest.mark.parametrize(
    "answered", ['{"version": "1.4.9"}', '{"version": null}', '{"version": ""}'], ids=["too old", "none", "empty"]
)
def test_a_server_that_cannot_be_spoken_to_is_refused(mlrun_1_12: MlrunStandIn, answered: str) -> None:
    mlrun_1_12.fail(path="client-spec", status=200, body=answered, times=0)
    api = _api(mlrun_1_12)
    with pytest.raises(MlrunRefused, match=r"1\.4\.9, and this service speaks to 1\.5|without a version"):
        api.server()
    api.close()


def test_what_is_no_mlrun_says_so(mlrun_1_12: MlrunStandIn) -> None:
    api = speak_to(f"{mlrun_1_12.url}/elsewhere")
    with pytest.raises(MlrunAway, match="there is no MLRun API") as away:
        api.server()
    assert "set mlrun.api" in away.value.mend
    api.close()


@pytest.fixture
def unused_url() -> Iterator[str]:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
