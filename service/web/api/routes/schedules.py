"""Schedules in force, and each of their due times."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from service.store import schedules
from service.web.api import answers, asks, pages
from service.web.api.desk import Desk, answer

TAG = Tag(name="schedules", description="Schedules and their fires.")


def add(api: APIBlueprint, desk: Desk) -> None:
    @api.get("/schedules", tags=[TAG], summary="List schedules", responses={200: pages.Schedules})
    def list_schedules(query: asks.SchedulesQuery) -> Response:
        with desk.store.read() as conn:
            rows, cursor = schedules.page(conn, **query.model_dump())
        return answer(pages.Schedules(items=[answers.Schedule.model_validate(row) for row in rows], next=cursor))

    @api.get("/schedules/<id>", tags=[TAG], summary="Show a schedule", responses={200: answers.Schedule})
    def show_schedule(path: asks.IdPath) -> Response:
        with desk.store.read() as conn:
            return answer(answers.Schedule.model_validate(schedules.get(conn, path.id)))

    @api.get("/schedules/<id>/fires", tags=[TAG], summary="List a schedule's fires", responses={200: pages.Fires})
    def list_fires(path: asks.IdPath, query: asks.PageQuery) -> Response:
        with desk.store.read() as conn:
            schedules.get(conn, path.id)
            rows, cursor = schedules.page_fires(conn, path.id, **query.model_dump())
        return answer(pages.Fires(items=[answers.Fire.model_validate(row) for row in rows], next=cursor))
