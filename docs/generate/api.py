"""api.md: the API as its own OpenAPI document describes it, which is made from the routes' types.

The document itself is not checked in: it says what api.md says, at ten times the length.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from docs.generate.markdown import anchor, code, page, sentence, table
from service import errors
from service.reconciler.actions import Actions
from service.settings import Settings
from service.store import Store
from service.web.api import make_app, register
from service.web.api.app import document as describe

Json = dict[str, Any]

_INTRO = """\
Everything that the command line does, and more. The service serves the same as OpenAPI 3.1 at `/openapi.json`, for tools
that make clients; without a service, `make docs` writes it to `build/openapi.json`.

- **Who may.** With `auth.tokens`: whoever sends `Authorization: Bearer TOKEN`. Without: whoever is on the same machine; a request
  that acts then needs `Content-Type: application/json` or the header `X-Gitops-Client`, so that no web page can send it.
- **Bodies** are JSON objects. Keys that are not known are refused.
- **Lists** give `items` and `next`; `?cursor=` takes `next` for the page behind, `?limit=` says how many a page has.
- **Acting** answers 202 once the wish is on disk; `Location` is where it can be followed. Every act is in the audit log.
- **Times** are RFC 3339 in UTC."""

_ERRORS = """\
Every error is RFC 9457 `application/problem+json`: `status`, `title`, `detail` (what happened, to what), `mend` (what to do),
`type` (`urn:mlrun-gitops:` and a stable name), and `errors` where parts of the request are not understood. 503 has `Retry-After`."""

_WEBHOOKS = """\
`POST /webhooks/{forge}/{hook}` takes a forge's deliveries; `hook` is a repository's name or an entry of `hooks`. It is not in the OpenAPI
document, since its bodies are the forges'. [Getting started](../guide/getting-started.md) has what to enter where.

| status | meaning |
| --- | --- |
| 202 | `{"delivery": ID, "status": "accepted", "duplicate" or "ignored", "reason": ...}`: it is on disk |
| 200 | A ping: the webhook works |
| 400 | The body or its headers are no delivery of this forge |
| 401 | The signature is wrong or missing; an unknown hook gets the same answer |
| 404 | The signature is right, and the hook does not speak for this repository |
| 413 | The body is larger than 25 MiB |
| 503 | It could not be made durable; `Retry-After` says when to send it again |"""

_OTHERS = [
    ("`GET /healthz`", "200 while the process answers."),
    ("`GET /readyz`", "200 when it can do its work; 503 names what it lacks."),
    ("`GET /metrics`", "Prometheus' text format."),
    ("`GET /openapi.json`", "The OpenAPI document."),
]


def document_text() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


@cache
def document() -> Json:
    """The document of the real routes, as a service with tokens serves it. Describing them needs nothing that answers."""
    settings = Settings.model_validate({"auth": {"tokens": ["only-to-have-one-at-all"]}})
    app = make_app("mlrun-gitops")
    register(app, settings, cast(Store, None), cast(Actions, None))
    return describe(app)


def text() -> str:
    described = document()
    return page(
        "REST API",
        "the OpenAPI document, which is made from service/web/api",
        _INTRO,
        "## Operations\n\n" + table(("", ""), _index(described)),
        *_operations(described),
        "## Webhooks\n\n" + _WEBHOOKS,
        "## Health and metrics\n\nWithout a token, and outside of `/api/v1`.\n\n" + table(("", ""), _OTHERS),
        "## Errors\n\n" + _ERRORS,
        table(("type", "status", "meaning"), _problems()),
        "## Objects",
        *_objects(described["components"]["schemas"]),
    )


def _each(described: Json) -> Iterator[tuple[str, str, Json]]:
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            yield method.upper(), path, operation


def _index(described: Json) -> Iterator[tuple[str, str]]:
    for method, path, operation in _each(described):
        yield f"[`{method} {path}`](#{anchor(f'{method} {path}')})", sentence(operation["summary"])


def _operations(described: Json) -> Iterator[str]:
    for method, path, operation in _each(described):
        parts = [
            f"### {method} {path}",
            sentence(operation["summary"]),
            sentence(operation.get("description")),
            table(("parameter", "in", "value", "meaning"), map(_parameter, operation.get("parameters", []))),
            _body(operation),
            table(("answer", "body"), _answers(operation)),
        ]
        yield "\n\n".join(part for part in parts if part)


def _parameter(parameter: Json) -> tuple[str, str, str, str]:
    name = code(parameter["name"]) + (" (needed)" if parameter.get("required") and parameter["in"] != "path" else "")
    return name, parameter["in"], _kind(parameter["schema"]), sentence(parameter.get("description"))


def _body(operation: Json) -> str:
    if "requestBody" not in operation:
        return ""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return f"The body is {_kind(schema)}."


def _answers(operation: Json) -> Iterator[tuple[str, str]]:
    """Statuses that are answered alike stand on one line."""
    bodies: dict[str, list[str]] = {}
    for status, response in sorted(operation["responses"].items()):
        for media in response.get("content", {}).values():
            bodies.setdefault(_kind(media["schema"]), []).append(status)
    for body, statuses in bodies.items():
        yield ", ".join(statuses), body


def _kind(schema: Json) -> str:
    """A schema in a few words; objects are links to where they are explained."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(code(str(one)) for one in schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "array":
            return f"list of {_kind(schema.get('items', {}))}"
        case "object":
            values = schema.get("additionalProperties")
            return f"object of {_kind(values)}" if isinstance(values, dict) and values else "object"
        case "string" if schema.get("format") == "date-time":
            return "time"
        case "integer" | "number":
            return _bounded(schema)
        case kind:
            return {"string": "text", "boolean": "`true`, `false`", "null": "null"}.get(str(kind), "any JSON")


def _bounded(schema: Json) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None or high is None:
        return "number"
    return f"number, {low:g} to {high:g}" if high < 2**31 else f"number, at least {low:g}"


def _problems() -> Iterator[tuple[str, str, str]]:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.RequestError | errors.StoreUnavailable):
            if kind is errors.RequestError:
                continue
            yield code(kind("").code), f"{int(kind.status)}", _MEANINGS[kind.__name__]


_MEANINGS = {
    "Unauthorized": "No token, or a wrong one; a webhook's signature.",
    "Forbidden": "The request may come from a web page of a stranger, or from outside while there are no tokens.",
    "NotFound": "There is no such thing.",
    "Conflict": "It is not in a state in which that can be done.",
    "Gone": "The job that a pod speaks for has ended, or is to end.",
    "PayloadTooLarge": "The body is too large.",
    "Malformed": "A part of the request is not understood; `errors` lists which.",
    "StoreUnavailable": "The disk is full or the database is away: nothing was changed, try again.",
}


def _objects(schemas: Json) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        parts = [f"### {name}", sentence(schema.get("description"))]
        if "enum" in schema:
            parts.append(_kind(schema) + ".")
        needed = set(schema.get("required", ()))
        fields = schema.get("properties", {}).items()
        parts.append(table(("field", "value", "meaning"), (_field(field, one, needed) for field, one in fields)))
        yield "\n\n".join(part for part in parts if part)


def _field(name: str, schema: Json, needed: set[str]) -> tuple[str, str, str]:
    optional = "" if name in needed else " (optional)"
    return code(name) + optional, _kind(schema), sentence(schema.get("description"))
