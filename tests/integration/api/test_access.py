from __future__ import annotations

import pytest

from service import limits
from tests.integration.api.conftest import TOKEN, Api
from tests.integration.api.rows import tell

ACT = "/api/v1/repositories/fraud/sync"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN} {TOKEN}",
        "Bearer \xff",
    ],
)
def test_without_a_right_token_nothing_is_told(guarded: Api, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for response in (guarded.client.get("/api/v1/runs", headers=headers), guarded.client.post(ACT, headers=headers)):
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.json is not None
        assert "GITOPS_TOKEN" in response.json["mend"]


def test_a_token_opens_the_api_from_anywhere_and_names_the_actor(guarded: Api) -> None:
    headers = {"Authorization": f"bearer {TOKEN}", "Host": "gitops.example.com", "Origin": "https://x.example.com"}
    assert guarded.client.post(ACT, headers=headers).status_code == 400  # a ref or {} is wanted, no token
    assert guarded.client.post(ACT, json={}, headers=headers).status_code == 202
    entries = guarded.client.get("/api/v1/audit", headers=headers).json
    assert entries is not None
    assert [entry["actor"] for entry in entries["items"]] == ["ci"]


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "localhost:9", "[::1]:8080", "127.1.2.3"])
def test_without_tokens_loopback_is_answered(served: Api, host: str) -> None:
    assert served.client.get("/api/v1/runs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example.com", "127.0.0.1.evil.example.com", "10.0.0.1", "localhost.evil.example.com:8080", "[::2]"]
)
def test_a_strangers_name_that_leads_here_is_not_answered(served: Api, host: str) -> None:
    """DNS rebinding: the page's own domain resolves to 127.0.0.1."""
    assert served.client.get("/api/v1/runs", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ({"Content-Type": "text/plain"}, "{}"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "a=b"),
        ({}, ""),
        ({"Content-Type": "application/json", "Origin": "https://evil.example.com"}, "{}"),
        ({"Content-Type": "application/json", "Origin": "null"}, "{}"),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}, "{}"),
    ],
)
def test_a_strangers_page_cannot_act(served: Api, headers: dict[str, str], data: str) -> None:
    response = served.client.post(ACT, data=data, headers=headers)
    assert response.status_code == 403
    assert served.get("/audit")["items"] == []


def test_our_own_pages_and_the_cli_can_act(served: Api) -> None:
    own = {"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}
    assert served.client.post(ACT, json={}, headers=own).status_code == 202
    assert served.client.post("/api/v1/handlers/console/test", headers={"X-Gitops-Client": "cli"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b'"{}"', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"a":' * 100_000, "application/json", 400),
        (b'{"ref": "\\ud800"}', "application/json", 400),
        (b'{"reff": "x"}', "application/json", 400),
        (b'{"ref": 7}', "application/json", 400),
        (b'{"ref": "' + b"x" * limits.API_BODY_BYTES + b'"}', "application/json", 413),
    ],
)
def test_a_body_that_is_not_understood_is_refused(served: Api, body: bytes, kind: str, status: int) -> None:
    response = served.client.post(ACT, data=body, content_type=kind)
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"


def test_another_kind_of_body_is_refused(guarded: Api) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    response = guarded.client.post(ACT, data="a: b", content_type="text/yaml", headers=headers)
    assert response.status_code == 415


@pytest.mark.parametrize("arguments", ['{"a": NaN}', '{"a": 1e999}', '{"a": "\\udfff"}', '{"a": [{"b": -Infinity}]}'])
def test_arguments_that_no_json_has_are_refused(served: Api, arguments: str) -> None:
    tell(served.store)
    body = f'{{"workflow": "main", "arguments": {arguments}}}'
    response = served.client.post("/api/v1/projects/fraud/runs", data=body, content_type="application/json")
    assert response.status_code == 400
