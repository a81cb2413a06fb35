"""Syncs: each with its plan, its reason and what it led to."""

from __future__ import annotations

import msgspec
from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from service import limits
from service.store import runs, syncs
from service.web.api import answers, asks, pages
from service.web.api.desk import Desk, answer

TAG = Tag(name="syncs", description="Transitions of a project to a commit.")


def add(api: APIBlueprint, desk: Desk) -> None:
    @api.get("/syncs", tags=[TAG], summary="List syncs", responses={200: pages.Syncs})
    def list_syncs(query: asks.SyncsQuery) -> Response:
        with desk.store.read() as conn:
            rows, cursor = syncs.page(conn, **query.model_dump())
        return answer(pages.Syncs(items=[answers.Sync.model_validate(row) for row in rows], next=cursor))

    @api.get("/syncs/<id>", tags=[TAG], summary="Show a sync", responses={200: answers.SyncDetail})
    def show_sync(path: asks.IdPath) -> Response:
        with desk.store.read() as conn:
            row = syncs.get(conn, path.id)
            planned, _ = runs.page(conn, sync=row.id, limit=limits.PAGE_MAX)
        return answer(
            answers.SyncDetail(
                **answers.Sync.model_validate(row).model_dump(),
                plan=msgspec.to_builtins(row.plan),
                runs=[answers.Run.model_validate(run) for run in reversed(planned)],
            )
        )
