"""Runs: how far they are, what they said, and what can be done about them."""

from __future__ import annotations

import threading

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from service.domain.states import ENDED_RUNS
from service.store import runs
from service.web.api import answers, asks, pages
from service.web.api.desk import Desk, answer, made

TAG = Tag(name="runs", description="Executions of workflows.")


def add(api: APIBlueprint, desk: Desk) -> None:
    # Followers hold a thread of the server each; half of the threads stay free for everybody else.
    followers = threading.BoundedSemaphore(max(1, desk.settings.server.threads // 2))

    @api.get("/runs", tags=[TAG], summary="List runs", responses={200: pages.Runs})
    def list_runs(query: asks.RunsQuery) -> Response:
        with desk.store.read() as conn:
            rows, cursor = runs.page(conn, **query.model_dump())
        return answer(pages.Runs(items=[answers.Run.model_validate(row) for row in rows], next=cursor))

    @api.get("/runs/<id>", tags=[TAG], summary="Show a run", responses={200: answers.Run})
    def show_run(path: asks.IdPath) -> Response:
        with desk.store.read() as conn:
            return answer(answers.Run.model_validate(runs.get(conn, path.id)))

    @api.get("/runs/<id>/events", tags=[TAG], summary="Show a run's events", responses={200: answers.RunEvents})
    def list_events(path: asks.IdPath, query: asks.EventsQuery) -> Response:
        with desk.store.read() as conn:
            run = runs.get(conn, path.id)
            rows = runs.events(conn, path.id, after=query.after, limit=query.limit)
        items = [answers.RunEvent.model_validate(row) for row in rows]
        return answer(answers.RunEvents(items=items, ended=run.state in ENDED_RUNS and len(rows) < query.limit))

    @api.get("/runs/<id>/log", tags=[TAG], summary="Read or follow a run's log", responses={200: answers.Log})
    def read_log(path: asks.IdPath, query: asks.LogQuery) -> Response:
        """As JSON; or as plain text, with the offsets in headers, where that is what is accepted."""
        with desk.store.read() as conn:
            runs.get(conn, path.id)
        may_wait = query.wait > 0 and followers.acquire(blocking=False)
        try:
            part = desk.actions.log(path.id, query.offset, query.wait if may_wait else 0.0)
        finally:
            if may_wait:
                followers.release()
        log = answers.Log(text=part.text, offset=query.offset, next_offset=part.next_offset, complete=part.complete)
        return _as_text(log) if _wants_text() else answer(log)

    @api.post("/runs/<id>/cancel", tags=[TAG], summary="Cancel a run", responses={202: answers.CancelAsked})
    def cancel_run(path: asks.IdPath) -> Response:
        with desk.store.read() as conn:
            runs.get(conn, path.id)
        desk.audit("run.cancel", path.id)
        desk.actions.cancel(path.id)
        return made(answers.CancelAsked(run=path.id), f"/api/v1/runs/{path.id}")

    @api.post("/runs/<id>/retry", tags=[TAG], summary="Repeat a run that ended", responses={202: answers.RunMade})
    def retry_run(path: asks.IdPath) -> Response:
        """With the same revision and arguments, as a new run."""
        with desk.store.read() as conn:
            runs.get(conn, path.id)
        desk.audit("run.retry", path.id)
        new = desk.actions.retry(path.id)
        return made(answers.RunMade(run=new), f"/api/v1/runs/{new}")


def _wants_text() -> bool:
    best = request.accept_mimetypes.best_match(["application/json", "text/plain"])
    return best == "text/plain"


def _as_text(log: answers.Log) -> Response:
    response = Response(log.text, mimetype="text/plain")
    response.headers["X-Next-Offset"] = str(log.next_offset)
    response.headers["X-Complete"] = "true" if log.complete else "false"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
