"""Who asked for what."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from service.store import audit
from service.web.api import answers, asks, pages
from service.web.api.desk import Desk, answer

TAG = Tag(name="audit", description="Requests that acted.")


def add(api: APIBlueprint, desk: Desk) -> None:
    @api.get("/audit", tags=[TAG], summary="List what was asked for", responses={200: pages.AuditLog})
    def list_audit(query: asks.AuditQuery) -> Response:
        with desk.store.read() as conn:
            rows, cursor = audit.page(conn, **query.model_dump())
        return answer(pages.AuditLog(items=[answers.Audit.model_validate(row) for row in rows], next=cursor))
