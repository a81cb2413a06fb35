"""The Flask app, the API's routes on it, and the OpenAPI document."""

from __future__ import annotations

import copy
from http import HTTPStatus
from typing import Any

from flask import Response, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel, Field, ValidationError

from service.settings import Settings
from service.store import Store
from service.web import problems
from service.web.api.access import Gate
from service.web.api.actions import Actions
from service.web.api.desk import Desk
from service.web.api.routes import audit, deliveries, notifications, projects, repositories, runs, schedules, syncs

VERSION = "1"
# What any route may answer beside a 400. `document` says what is in them: given as models, they would be described for each
# route anew, which took longer than the rest of the app at every start.
_REFUSALS = (401, 403, 404, 409, 503)
_ROUTES = (repositories, projects, deliveries, syncs, runs, schedules, notifications, audit)


class WrongPart(BaseModel):
    """A part of the request that is not understood."""

    where: str = Field(description="Its name, dotted.")
    what: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = Field(description="`urn:mlrun-gitops:` and the error's stable name.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened, to what.")
    mend: str | None = Field(default=None, description="What to do about it.")
    output: str | None = Field(default=None, description="Longer text: a traceback, git's words.")
    errors: list[WrongPart] | None = Field(default=None, description="Every part of the request that is wrong.")


def make_app(name: str = "service.web") -> OpenAPI:
    """An app whose errors are all problem+json; a path that ends in a slash is another path."""
    app = OpenAPI(
        name,
        info=Info(
            title="mlrun-gitops",
            version=VERSION,
            description="GitOps for MLRun projects. Lists page by `limit` and `cursor`; errors are RFC 9457 problem+json.",
        ),
        security_schemes={"token": {"type": "http", "scheme": "bearer"}},
        operation_id_callback=lambda *, name, path, method: name,  # noqa: ARG005 - the route's function names it
        validation_error_status=int(HTTPStatus.BAD_REQUEST),
        validation_error_model=Problem,
        validation_error_callback=_not_understood,
        doc_ui=False,
        static_folder=None,
    )
    app.url_map.strict_slashes = False
    problems.register(app)
    app.add_url_rule("/openapi.json", "openapi", lambda: jsonify(document(app)))
    return app


def register(app: OpenAPI, settings: Settings, store: Store, actions: Actions) -> None:
    """Put the API on `app`."""
    api = APIBlueprint(
        "api",
        __name__,
        url_prefix=f"/api/v{VERSION}",
        abp_security=[{"token": []}] if settings.auth.tokens else None,
        abp_responses=dict.fromkeys(_REFUSALS),
    )
    api.before_request(Gate(settings).check)
    desk = Desk(settings, store, actions)
    for routes in _ROUTES:
        routes.add(api, desk)
    app.register_api(api)


def document(app: OpenAPI) -> dict[str, Any]:
    """The OpenAPI document, in which every error has the media type that it really has."""
    described = copy.deepcopy(app.api_doc)
    for operations in described["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= HTTPStatus.BAD_REQUEST:
                    schema = {"$ref": "#/components/schemas/Problem"}
                    response["content"] = {problems.MEDIA_TYPE: {"schema": schema}}
    return described


def _not_understood(error: ValidationError) -> Response:
    """A 400 that lists what is wrong; values are left out, since who knows what they are."""
    wrong = [
        {
            "where": ".".join(str(part) for part in e["loc"]) or "the body",
            "what": e["msg"].removeprefix("Value error, "),
        }
        for e in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    first = f"{wrong[0]['where']}: {wrong[0]['what']}" if wrong else ""
    return problems.problem(
        HTTPStatus.BAD_REQUEST, f"The request is not understood: {first}", code="malformed", errors=wrong
    )
