"""The OpenAPI document is made from the code; here it is held against what the API really does."""

from __future__ import annotations

from typing import Any

from tests.integration.api.conftest import Api
from tests.integration.api.rows import Story, tell

# Answered from MLRun's own API, which the service here has not; tests/integration/mlrun_target reads the answer.
OF_MLRUN = "/api/v1/projects/{name}/drift"


def document(served: Api) -> dict[str, Any]:
    response = served.client.get("/openapi.json")
    assert response.status_code == 200
    assert isinstance(response.json, dict)
    return response.json


def test_every_route_of_the_api_is_described(served: Api) -> None:
    described = {(path, method) for path, operation in document(served)["paths"].items() for method in operation}
    real = {
        (rule.rule.replace("<", "{").replace(">", "}"), method.lower())
        for rule in served.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/")
    }
    assert described == real


def test_every_operation_has_a_name_of_its_own_and_words_for_it(served: Api) -> None:
    operations = [operation for path in document(served)["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(operation["summary"] for operation in operations)


def test_every_field_of_every_answer_is_explained(served: Api) -> None:
    schemas = document(served)["components"]["schemas"]
    silent = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, described in schema.get("properties", {}).items()
        if not described.get("description")
    ]
    assert silent == []


def test_every_reference_leads_somewhere(served: Api) -> None:
    described = document(served)
    schemas = described["components"]["schemas"]
    assert set(_references(described)) <= {f"#/components/schemas/{name}" for name in schemas}


def test_answers_are_as_the_document_says(served: Api) -> None:
    """Every GET of a story that has everything, its fields against the schema's."""
    story = tell(served.store)
    described = document(served)
    for path, operation in described["paths"].items():
        if "get" not in operation:
            continue
        response = served.client.get(_filled(path, story))
        if path == OF_MLRUN:
            assert response.status_code == 409
            assert "mlrun.api" in response.text
            continue
        assert response.status_code == 200, path
        _holds(described, _schema(operation["get"]), response.json, path)


def _filled(path: str, story: Story) -> str:
    noun = path.split("/")[3]
    id_ = {
        "deliveries": story.delivery,
        "syncs": story.sync,
        "runs": story.run,
        "schedules": story.schedule,
        "notifications": story.notification,
        "projects": story.preview if "/plans/" in path else "r1",
    }.get(noun, "")
    return path.replace("{name}", "fraud").replace("{id}", id_)


def _schema(operation: dict[str, Any]) -> dict[str, Any]:
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert isinstance(schema, dict)
    return schema


def _holds(described: dict[str, Any], schema: dict[str, Any], value: Any, where: str) -> None:
    if "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        if value is None:
            assert {"type": "null"} in schema["anyOf"], where
            return
        schema = next(s for s in schema["anyOf"] if s.get("type") != "null")
        _holds(described, schema, value, where)
        return
    match schema.get("type"):
        case "object" if "properties" in schema:
            assert set(value) == set(schema["properties"]), where
            for name, inner in schema["properties"].items():
                _holds(described, inner, value[name], f"{where}.{name}")
        case "array":
            for entry in value:
                _holds(described, schema["items"], entry, f"{where}[]")
        case "string":
            assert isinstance(value, str), where
            assert value in schema.get("enum", [value]), where
        case "integer":
            assert isinstance(value, int), where
        case "number":
            assert isinstance(value, (int, float)), where
        case "boolean":
            assert isinstance(value, bool), where


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [r for inner in value.values() for r in _references(inner)]
    if isinstance(value, list):
        return [r for inner in value for r in _references(inner)]
    return []
