"""Whatever is asked, the answer is not ours to be ashamed of: no status of 500, and problem+json for every refusal."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.api.conftest import Api
from tests.integration.api.rows import tell

TEXT = st.text(max_size=40) | st.sampled_from(["", "0", "-1", "..", "%00", "'", "\x00", "fraud", "a" * 300, "9e999"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def operations(served: Api, method: str) -> list[tuple[str, list[str]]]:
    """(path template, query names) of every operation in the OpenAPI document."""
    document = served.client.get("/openapi.json").json
    assert document is not None
    return [
        (path, [p["name"] for p in operation[method].get("parameters", []) if p["in"] == "query"])
        for path, operation in document["paths"].items()
        if method in operation
    ]


def honest(response: Any) -> None:
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.mimetype == "application/problem+json"
        assert response.json["status"] == response.status_code
        assert response.json["detail"]


@FUZZ
@given(data=st.data())
def test_reading(served: Api, data: st.DataObject) -> None:
    _schedule(served)
    template, names = data.draw(st.sampled_from(operations(served, "get")))
    known = data.draw(st.dictionaries(st.sampled_from([*names, "cursor", "other"]), TEXT, max_size=4))
    path = _path(template, data)
    known.pop("wait", None)
    honest(served.client.get(path, query_string=known))


NAME = st.sampled_from(["fraud", "r1", "x"]) | TEXT.filter(lambda t: "/" not in t and t not in ("", ".", ".."))


@FUZZ
@given(data=st.data())
def test_acting(served: Api, data: st.DataObject) -> None:
    _schedule(served)
    template, _ = data.draw(st.sampled_from(operations(served, "post")))
    path = _path(template, data)
    body = data.draw(
        JSON | st.fixed_dictionaries({"workflow": TEXT, "arguments": JSON}) | st.fixed_dictionaries({"ref": TEXT})
    )
    raw = json.dumps(body).encode() if data.draw(st.booleans()) else data.draw(st.binary(max_size=60))
    honest(served.client.post(path, data=raw, content_type="application/json"))


@FUZZ
@given(
    cursor=TEXT, path=st.sampled_from(["runs", "deliveries", "syncs", "projects", "audit", "handlers", "repositories"])
)
def test_a_cursor_that_somebody_made_up(served: Api, cursor: str, path: str) -> None:
    honest(served.client.get(f"/api/v1/{path}", query_string={"cursor": cursor}))


@pytest.mark.parametrize("path", ["projects/fraud/revisions", "schedules/{schedule}/fires"])
@FUZZ
@given(cursor=TEXT | st.floats().map(str) | st.floats().map(lambda f: f"{f}~x"))
def test_a_cursor_of_numbers_that_somebody_made_up(served: Api, path: str, cursor: str) -> None:
    honest(served.client.get(f"/api/v1/{path.format(schedule=_schedule(served))}", query_string={"cursor": cursor}))


def _path(template: str, data: st.DataObject) -> str:
    return template.replace("{name}", quote(data.draw(NAME), safe="")).replace("{id}", quote(data.draw(NAME), safe=""))


def _schedule(served: Api) -> str:
    listed = served.get("/schedules")["items"]
    return str(listed[0]["id"]) if listed else tell(served.store).schedule
